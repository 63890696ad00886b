// Lets the tests run the kernels of older x86-64 processors than this one:
// TFLITE_SPARSE_PROCESSOR is sse41, avx2, avx512 (of 2017, without what came
// later) or vnni (without AMX). XNNPACK and the engine ask cpuinfo; it is told
// before they do.

#include <cpuinfo.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#if defined(__x86_64__)

namespace {

void HideAfterVnni() { cpuinfo_isa.amx_int8 = false; }

void HideAfterAvx512() {
  HideAfterVnni();
  cpuinfo_isa.avx512vbmi = false;
  cpuinfo_isa.avx512vnni = false;
  cpuinfo_isa.avx512fp16 = false;
  cpuinfo_isa.avxvnni = false;
  cpuinfo_isa.avx_vnni_int8 = false;
  cpuinfo_isa.gfni = false;
}

void HideAfterAvx2() {
  HideAfterAvx512();
  cpuinfo_isa.avx512f = false;
  cpuinfo_isa.avx512bw = false;
  cpuinfo_isa.avx512dq = false;
  cpuinfo_isa.avx512vl = false;
}

void HideAfterSse41() {
  HideAfterAvx2();
  cpuinfo_isa.avx = false;
  cpuinfo_isa.f16c = false;
  cpuinfo_isa.fma3 = false;
  cpuinfo_isa.avx2 = false;
}

// Before static objects of the tests, which may ask already.
__attribute__((constructor(101))) void Pretend() {
  const char* name = std::getenv("TFLITE_SPARSE_PROCESSOR");
  if (name == nullptr) {
    return;
  }
  cpuinfo_initialize();
  const std::string processor = name;
  if (processor == "sse41") {
    HideAfterSse41();
  } else if (processor == "avx2") {
    HideAfterAvx2();
  } else if (processor == "avx512") {
    HideAfterAvx512();
  } else if (processor == "vnni") {
    HideAfterVnni();
  } else {
    std::fprintf(stderr,
                 "TFLITE_SPARSE_PROCESSOR is '%s', expected sse41, avx2, "
                 "avx512 or vnni\n",
                 name);
    std::abort();
  }
}

}  // namespace

#endif
