"""Small .tflite files written operator by operator, so that each shows one thing."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as fb

TYPES = {"FLOAT32": np.float32, "INT8": np.int8, "UINT8": np.uint8, "INT16": np.int16}
ACTIVATION = {"NONE": 0, "RELU": 1, "RELU6": 3}


class SmallModel:
    """Builds one .tflite; tensors are indices of its current subgraph."""

    def __init__(self, dtype="FLOAT32", seed=0):
        self.dtype = dtype
        self.generator = np.random.default_rng(seed)
        self.model = fb.ModelT()
        self.model.version = 3
        self.model.buffers = [fb.BufferT()]
        self.model.operatorCodes = []
        self.model.subgraphs = []
        self.subgraph("main")

    def subgraph(self, name):
        self.graph = fb.SubGraphT()
        self.graph.name = name.encode()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs.append(self.graph)

    def tensor(self, shape, name, dtype=None, data=None, scale=None, point=0, signature=None):
        tensor = fb.TensorT()
        tensor.shape = list(shape)
        tensor.shapeSignature = signature
        tensor.name = name.encode()
        tensor.type = getattr(fb.TensorType, dtype or self.dtype)
        if scale is not None:
            tensor.quantization = fb.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(scale).astype(float).tolist()
            tensor.quantization.zeroPoint = np.zeros(np.size(scale), int).tolist()
            tensor.quantization.zeroPoint[0] = point
        if data is not None:
            buffer = fb.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def input(self, shape, name="input", **options):
        if self.dtype != "FLOAT32":
            options = {"scale": 0.05, "point": self.point(), **options}
        index = self.tensor(shape, name, **options)
        self.graph.inputs.append(index)
        return index

    def point(self):
        return {"INT8": 3, "UINT8": 130, "INT16": 0}.get(self.dtype, 0)

    def op(self, kind, inputs, shape, name, options=None, version=1, **tensor):
        if self.dtype != "FLOAT32":
            tensor = {"scale": 0.1, "point": self.point(), **tensor}
        output = self.tensor(shape, name, **tensor)
        self.raw_op(kind, inputs, [output], options, version)
        return output

    def raw_op(self, kind, inputs, outputs, options=None, version=1):
        code = fb.OperatorCodeT()
        code.builtinCode = getattr(fb.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.model.operatorCodes.append(code)
        op = fb.OperatorT()
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.inputs, op.outputs = list(inputs), list(outputs)
        if options is not None:
            op.builtinOptions = options
            op.builtinOptionsType = getattr(
                fb.BuiltinOptions, type(options).__name__.removesuffix("T")
            )
        self.graph.operators.append(op)

    def shape(self, tensor):
        return self.graph.tensors[tensor].shape

    def conv(self, x, channels, name, kernel=3, activation="NONE", weights=None, **tensor):
        shape = (channels, kernel, kernel, self.shape(x)[3])
        options = fb.Conv2DOptionsT()
        options.strideH = options.strideW = 1
        options.fusedActivationFunction = ACTIVATION[activation]
        inputs = [x, *self._weights(shape, 0, name, weights)]
        return self.op(
            "CONV_2D",
            inputs,
            [*self.shape(x)[:3], channels],
            name,
            options,
            version=3 if weights == "INT8" and self.dtype == "FLOAT32" else 1,
            **tensor,
        )

    def depthwise(self, x, name, activation="NONE"):
        channels = self.shape(x)[3]
        options = fb.DepthwiseConv2DOptionsT()
        options.strideH = options.strideW = options.depthMultiplier = 1
        options.fusedActivationFunction = ACTIVATION[activation]
        inputs = [x, *self._weights((1, 3, 3, channels), 3, name, None)]
        return self.op("DEPTHWISE_CONV_2D", inputs, self.shape(x), name, options)

    def _weights(self, shape, axis, name, dtype):
        dtype = dtype or {"FLOAT32": "FLOAT32", "UINT8": "UINT8"}.get(self.dtype, "INT8")
        values = self.generator.standard_normal(shape)
        bias = self.generator.standard_normal(shape[axis]).astype(np.float32)
        if dtype == "FLOAT32":
            weights = self.tensor(shape, f"{name}/w", data=values.astype(np.float32))
            return weights, self.tensor(bias.shape, f"{name}/b", data=bias)
        scale = np.full(shape[axis], 0.03) if dtype == "INT8" else np.array([0.03])
        point = 128 if dtype == "UINT8" else 0
        stored = np.clip(np.round(values / 0.03) + point, -127 + point, 127 + point)
        weights = self.tensor(shape, f"{name}/w", dtype, stored.astype(TYPES[dtype]), scale, point)
        self.graph.tensors[weights].quantization.quantizedDimension = axis
        if self.dtype == "FLOAT32":
            return weights, self.tensor(bias.shape, f"{name}/b", "FLOAT32", bias)
        wide = "INT64" if self.dtype == "INT16" else "INT32"
        steps = np.round(bias / (0.05 * 0.03)).astype(wide.lower())
        return weights, self.tensor(bias.shape, f"{name}/b", wide, steps, scale * 0.05)

    def add(self, a, b, name):
        return self.op("ADD", [a, b], self.shape(a), name, fb.AddOptionsT())

    def mul(self, a, b, name, **tensor):
        return self.op("MUL", [a, b], self.shape(a), name, fb.MulOptionsT(), **tensor)

    def unary(self, kind, x, name, **tensor):
        return self.op(kind, [x], self.shape(x), name, **tensor)

    def silu(self, x, name):
        return self.mul(x, self.unary("LOGISTIC", x, f"{name}/gate"), name)

    def output(self, *tensors):
        self.graph.outputs += tensors

    def signature(self, key="serving_default"):
        signature = fb.SignatureDefT()
        signature.signatureKey = key.encode()
        graph = self.model.subgraphs[0]
        signature.inputs = [_entry(f"in_{i}", t) for i, t in enumerate(graph.inputs)]
        signature.outputs = [_entry(f"out_{i}", t) for i, t in enumerate(graph.outputs)]
        self.model.signatureDefs = [signature]

    def metadata(self, name, content):
        buffer = fb.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        entry = fb.MetadataT()
        entry.name, entry.buffer = name.encode(), len(self.model.buffers) - 1
        self.model.metadata = [*(self.model.metadata or []), entry]

    def content(self):
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def _entry(name, tensor):
    entry = fb.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), tensor
    return entry


def chain(dtype="FLOAT32", **options):
    """Two convolutions and an addition: conv1 (RELU6), conv2, add."""
    model = SmallModel(dtype)
    x = model.input([1, 6, 8, 4])
    first = model.conv(x, 4, "conv1", activation="RELU6", **options)
    second = model.conv(first, 4, "conv2", kernel=1, **options)
    model.output(model.add(second, x, "sum"))
    model.signature()
    return model
