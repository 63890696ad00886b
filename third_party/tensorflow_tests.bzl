"""TFLite's own tests of its XNNPACK delegate: `make test-upstream`.

Those of its kernels, interpreter and C API are not built: kernels/test_util.cc needs op_version.cc, and that one
schema/mutable/schema_generated.h, which only flatc writes, and TensorFlow's logging (tsl/platform);
kernels/test_main.cc needs Google Benchmark, delegates/nnapi/acceleration_test_util.cc RE2, and sources.lock has
neither.
"""

_FOLDER = "tensorflow/lite/"

_COPTS = [
    "-w",
    # They are compiled more often than they run.
    "-O0",
]

# XNNPACK takes square roots by way of their reciprocals (f32-vsqrt/*-rsqrt-*): one unit in the last place
# from TFLite's, and the test wants none.
_EXCEPT = ["delegates/xnnpack/sqrt_test.cc"]

def upstream_tests():
    """A test for each of TFLite's, named by its file, delegates/xnnpack/add_test, and :upstream_tests for all."""
    native.cc_library(
        name = "xnnpack_testers",
        testonly = True,
        srcs = native.glob([
            _FOLDER + "delegates/xnnpack/*_tester.cc",
            _FOLDER + "delegates/xnnpack/test_util.cc",
        ]),
        copts = _COPTS,
        linkstatic = True,
        tags = ["manual"],
        deps = [
            ":runtime_headers",
            "@googletest//:gtest",
        ],
    )
    names = []
    for source in native.glob(
        [_FOLDER + "delegates/xnnpack/*_test.cc"],
        exclude = [_FOLDER + file for file in _EXCEPT],
    ):
        name = source[len(_FOLDER):-len(".cc")]
        names.append(name)
        native.cc_test(
            name = name,
            size = "small",
            srcs = [source],
            copts = _COPTS + ["-include", "native/upstream/sparse_delegate.h"],
            linkstatic = True,
            tags = ["manual"],
            deps = [
                ":xnnpack_testers",
                "@googletest//:gtest",
                "@tflite_sparse//native/runtime",
                "@tflite_sparse//native/upstream:sparse_delegate",
            ],
        )
    native.test_suite(
        name = "upstream_tests",
        tags = ["manual"],
        tests = names,
    )
