/* Classify a picture: classify MODEL.tflite PICTURE.ppm
 *
 * The picture is a binary .pgm or .ppm file (`magick photo.jpg photo.ppm`). The model takes float32
 * pixels in [0, 1] of any size and 1 or 3 channels; its first output holds a score for each class.
 * Masked layers skip their masked pixels, which the report at the end shows. */
#include <stdio.h>
#include <stdlib.h>
#include <tflite_sparse_runtime.h>

static void fail(const char* what) {
  fprintf(stderr, "classify: %s\n", what);
  exit(1);
}

/* Reads a picture into [height, width, channels] floats, nearest pixel by nearest pixel. */
static void read_picture(const char* path, float* out, int height, int width, int channels) {
  FILE* file = fopen(path, "rb");
  char kind = 0;
  int w = 0, h = 0, max = 0;
  if (!file) fail("the picture cannot be opened");
  if (fscanf(file, "P%c %d %d %d%*c", &kind, &w, &h, &max) != 4 || max != 255 ||
      (kind != '5' && kind != '6') || w < 1 || h < 1 || w > 32768 || h > 32768)
    fail("expected a binary .pgm or .ppm picture of 8 bits");
  size_t c = kind == '6' ? 3 : 1, size = c * w * h;
  unsigned char* pixels = malloc(size);
  if (!pixels || fread(pixels, 1, size, file) != size) fail("the picture is cut short");
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int k = 0; k < channels; k++) {
        size_t from = (size_t)y * h / height * w + (size_t)x * w / width;
        *out++ = pixels[from * c + (c == 3 ? k * 3 / channels : 0)] / 255.0f;
      }
  free(pixels);
  fclose(file);
}

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: classify MODEL.tflite PICTURE.ppm");
  TfLiteModel* model = TfLiteModelCreateFromFile(argv[1]);
  if (!model) fail("the model cannot be read");
  TfLiteInterpreterOptions* options = TfLiteInterpreterOptionsCreate();
  TfLiteInterpreterOptionsSetNumThreads(options, 2);
  TfLiteInterpreter* interpreter = TfLiteInterpreterCreate(model, options);
  if (!interpreter || TfLiteInterpreterAllocateTensors(interpreter) != kTfLiteOk)
    fail("the model cannot be prepared");

  TfLiteTensor* input = TfLiteInterpreterGetInputTensor(interpreter, 0);
  if (TfLiteTensorType(input) != kTfLiteFloat32 || TfLiteTensorNumDims(input) != 4)
    fail("expected a model with one float32 picture [1, height, width, channels]");
  read_picture(argv[2], TfLiteTensorData(input), TfLiteTensorDim(input, 1),
               TfLiteTensorDim(input, 2), TfLiteTensorDim(input, 3));
  if (TfLiteInterpreterInvoke(interpreter) != kTfLiteOk) fail("the model cannot be run");

  const TfLiteTensor* output = TfLiteInterpreterGetOutputTensor(interpreter, 0);
  const float* scores = TfLiteTensorData(output);
  size_t best = 0, count = TfLiteTensorByteSize(output) / sizeof(float);
  for (size_t i = 1; i < count; i++) best = scores[i] > scores[best] ? i : best;
  printf("class %zu of %zu, score %.6g\n", best, count, scores[best]);
  char* report = tflite_sparse_interpreter_report(interpreter);
  printf("%s\n", report);

  tflite_sparse_free(report);
  TfLiteInterpreterDelete(interpreter);
  TfLiteInterpreterOptionsDelete(options);
  TfLiteModelDelete(model);
  return 0;
}
