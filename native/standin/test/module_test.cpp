// Initialization, modules, functions, launches that are refused, tensor maps, and functions that aren't there.
#include <dlfcn.h>

#include <cstring>

#include "gpu.h"
#include "image.h"
#include "sha256.h"

namespace {

std::string with(std::string text, const std::string& what, const std::string& instead) {
  const size_t at = text.find(what);
  return text.replace(at, what.size(), instead);
}

// Before any other test: the driver is initialized only once.
void nothingWorksBeforeInit() {
  int count = 0;
  CUctx* context = nullptr;
  DevicePointer address = 0;
  CHECK_EQUAL(3, cuDeviceGetAttribute(&count, 16, 0));
  CHECK_EQUAL(3, cuDevicePrimaryCtxRetain(&context, 0));
  {
    const With setting("DEVICES", "0");
    CHECK_EQUAL(100, cuInit(0));
  }
  CHECK_EQUAL(0, cuInit(0));
  CHECK_EQUAL(201, cuMemAlloc_v2(&address, 4));
}

void theDeviceSaysWhatItIs() {
  const Gpu gpu;
  char name[100];
  CHECK_EQUAL(0, cuDeviceGetName(name, sizeof name, 0));
  CHECK_EQUAL(std::string("Quench CPU stand-in (no GPU)"), std::string(name));
  int major = 0;
  CHECK_EQUAL(0, cuDeviceGetAttribute(&major, 75, 0));
  CHECK_EQUAL(9, major);
  const With setting("CAPABILITY", "80");
  CHECK_EQUAL(0, cuDeviceGetAttribute(&major, 75, 0));
  CHECK_EQUAL(8, major);
}

int load(const std::string& image) {
  CUmod* module = nullptr;
  return cuModuleLoadData(&module, image.c_str());
}

void imagesAreChecked() {
  const Gpu gpu;
  const std::string ptx = testPtx();
  CHECK_EQUAL(0, load(ptx));
  CHECK_EQUAL(209, load(ptx + " "));  // another hash
  CHECK_EQUAL(209, load("\177ELF..."));
  CHECK_EQUAL(209, load("\x50\xed\x55\xba..."));
  CHECK_EQUAL(200, load("int main() {}"));
  CHECK_EQUAL(222, load(with(ptx, ".version 8.0", ".version 8.1")));
  CHECK_EQUAL(218, load(with(ptx, "sm_80", "sm_100")));
  CHECK_EQUAL(209, load(with(ptx, "sm_80", "sm_90a")));  // allowed, but nobody translated it
  {
    const With setting("DRIVER_VERSION", "12040");
    CHECK_EQUAL(209, load(with(ptx, ".version 8.0", ".version 8.4")));
    CHECK_EQUAL(222, load(with(ptx, ".version 8.0", ".version 8.5")));
  }
  const With setting("CAPABILITY", "100");
  CHECK_EQUAL(218, load(with(ptx, "sm_80", "sm_90a")));
  CHECK_EQUAL(0, load(ptx));
}

void theLogTellsWhy() {
  const Gpu gpu;
  char log[300] = "";
  int options[] = {5, 6};
  void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
  CUmod* module = nullptr;
  CHECK_EQUAL(209, cuModuleLoadDataEx(&module, (testPtx() + "//").c_str(), 2, options, values));
  CHECK(contains(log, standin::sha256(testPtx() + "//").substr(0, 16).c_str()));
  CHECK_EQUAL(strlen(log), reinterpret_cast<size_t>(values[1]));
}

void ptxIsRead() {
  const std::optional<standin::PtxImage> image = standin::readPtx(testPtx());
  CHECK(image.has_value());
  CHECK_EQUAL(80u, image->version);
  CHECK_EQUAL(80u, image->target);
  CHECK_EQUAL(size_t{14}, image->entries.size());
  CHECK(image->entries[0].parameterBytes == (std::vector<unsigned>{8, 8}));
  CHECK_EQUAL(1024u, image->entries[0].maxThreads);
  CHECK(image->entries[9].parameterBytes == (std::vector<unsigned>{8, 4, 4}));
  CHECK_EQUAL(256u, image->entries[9].maxThreads);
  CHECK(image->entries[11].parameterBytes == (std::vector<unsigned>{128, 8}));
}

void hashesAreSha256() {  // FIPS 180-4's examples, and a message of more than one block
  CHECK_EQUAL(std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), standin::sha256("abc"));
  CHECK_EQUAL(std::string("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), standin::sha256(""));
  CHECK_EQUAL(std::string("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
              standin::sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
}

void functionsAreFound() {
  const Gpu gpu;
  CUfunc* function = nullptr;
  CHECK_EQUAL(500, cuModuleGetFunction(&function, gpu.module(), "scal"));
  CHECK_EQUAL(0, cuModuleGetFunction(&function, gpu.module(), "scale"));
  int value = 0;
  CHECK_EQUAL(0, cuFuncGetAttribute(&value, 0, function));
  CHECK_EQUAL(256, value);
  CHECK_EQUAL(0, cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, function, 250, 100 * 1024));
  CHECK_EQUAL(2, value);
  CHECK_EQUAL(0, cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, function, 250, 0));
  CHECK_EQUAL(8, value);
  CHECK_EQUAL(0, cuModuleUnload(gpu.module()));
  CHECK_EQUAL(400, cuModuleUnload(gpu.module()));
  CHECK_EQUAL(400, cuFuncGetAttribute(&value, 0, function));
  CHECK_EQUAL(400, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
}

void launchesAreChecked() {
  const Gpu gpu;
  const DevicePointer values = gpu.upload(std::vector<float>(300, 1));
  const auto launch = [&](Dim grid, Dim block, unsigned shared) {
    return gpu.launchOn(nullptr, "scale", grid, block, shared, values, 300u, 1.0f);
  };
  CHECK_EQUAL(0, launch({1, 1, 1}, {16, 16, 1}, 48 * 1024));
  CHECK_EQUAL(1, launch({1, 1, 1}, {16, 17, 1}, 0));  // launch bounds
  CHECK_EQUAL(1, launch({1, 1, 1}, {1, 1, 65}, 0));
  CHECK_EQUAL(1, launch({1, 65536, 1}, {1, 1, 1}, 0));
  CHECK_EQUAL(1, launch({0, 1, 1}, {1, 1, 1}, 0));
  CHECK_EQUAL(1, launch({1, 1, 1}, {1, 0, 1}, 0));
  CHECK_EQUAL(1, launch({1, 1, 1}, {16, 16, 1}, 48 * 1024 + 1));
  CUfunc* function = gpu.function("scale");
  CHECK_EQUAL(1, cuFuncSetAttribute(function, 8, 227 * 1024 + 1));
  CHECK_EQUAL(0, cuFuncSetAttribute(function, 8, 227 * 1024));
  CHECK_EQUAL(0, launch({1, 1, 1}, {16, 16, 1}, 227 * 1024));
}

void extendedLaunchesTakeOneBlockClusters() {
  const Gpu gpu;
  DevicePointer values = gpu.upload(std::vector<float>(8, 1));
  unsigned count = 8;
  float factor = 5;
  void* arguments[] = {&values, &count, &factor};
  standin::LaunchAttribute cluster{standin::kLaunchClusterDimension, 0, {1, 1, 1}};
  const standin::LaunchConfig config{1, 1, 1, 8, 1, 1, 0, nullptr, &cluster, 1};
  CHECK_EQUAL(0, cuLaunchKernelEx(&config, gpu.function("scale"), arguments, nullptr));
  CHECK_EQUAL(5.0f, gpu.download<float>(values, 8)[7]);
  cluster.value[0] = 2;
  CHECK_EQUAL(801, cuLaunchKernelEx(&config, gpu.function("scale"), arguments, nullptr));
}

struct Structure {
  unsigned words[32];
};

void structuresArePassedByValue() {
  const Gpu gpu;
  Structure structure{};
  structure.words[31] = 77;
  const DevicePointer output = gpu.upload(std::vector<unsigned>(2));
  CHECK_EQUAL(0, gpu.run("structure", 1, 1, 0, structure, output));
  CHECK(gpu.download<unsigned>(output, 2) == (std::vector<unsigned>{1, 77}));
}

struct Tiling {
  unsigned type = 9;  // bfloat16
  uint32_t rank = 2;
  uint64_t sizes[2] = {128, 64};
  uint64_t strides[1] = {256};
  uint32_t boxes[2] = {64, 32};
  uint32_t elementStrides[2] = {1, 1};
  unsigned swizzle = 3;
};

int encode(const Tiling& t, DevicePointer address, standin::TensorMap* map) {
  return cuTensorMapEncodeTiled(map, t.type, t.rank, reinterpret_cast<void*>(address), t.sizes, t.strides, t.boxes,
                                t.elementStrides, 0, t.swizzle, 0, 0);
}

void tensorMapsAreChecked() {
  const Gpu gpu;
  const DevicePointer data = gpu.upload(std::vector<uint16_t>(128 * 64));
  alignas(64) standin::TensorMap map{};
  CHECK_EQUAL(0, encode({}, data, &map));
  CHECK_EQUAL(standin::TensorMap::kMagic, map.magic);
  CHECK_EQUAL(data, map.address);
  CHECK_EQUAL(2u, map.elementBytes);
  CHECK_EQUAL(uint64_t{2}, map.stride[0]);
  CHECK_EQUAL(uint64_t{256}, map.stride[1]);
  CHECK_EQUAL(32u, map.box[1]);
  const auto refused = [&](auto change) {
    Tiling tiling;
    change(tiling);
    CHECK_EQUAL(1, encode(tiling, data, &map));
  };
  refused([](Tiling& t) { t.boxes[0] = 72; });      // 144 bytes: more than the swizzle spans
  refused([](Tiling& t) { t.boxes[0] = 4; });       // 8 bytes: no multiple of 16
  refused([](Tiling& t) { t.boxes[1] = 257; });
  refused([](Tiling& t) { t.strides[0] = 264; });   // no multiple of 16
  refused([](Tiling& t) { t.sizes[1] = 65; });      // leaves the allocation
  refused([](Tiling& t) { t.rank = 6; });
  refused([](Tiling& t) { t.elementStrides[1] = 2; });
  CHECK_EQUAL(1, encode({}, data + 8, &map));
  CHECK_EQUAL(1, encode({}, data, reinterpret_cast<standin::TensorMap*>(reinterpret_cast<char*>(&map) + 8)));
}

// JCuda links all of these; a call to one that is missing would end the process.
void everySymbolIsThere() {
  std::istringstream names(readFile(getenv("STANDIN_TEST_SYMBOLS")));
  size_t count = 0;
  for (std::string name; std::getline(names, name);) {
    CHECK(dlsym(RTLD_DEFAULT, name.c_str()) != nullptr);
    count++;
  }
  CHECK_EQUAL(size_t{312}, count);
  const auto missing = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "cuGraphCreate"));
  CHECK_EQUAL(801, missing());
}

void errorsHaveNames() {
  const char* text = nullptr;
  CHECK_EQUAL(0, cuGetErrorName(222, &text));
  CHECK_EQUAL(std::string("CUDA_ERROR_UNSUPPORTED_PTX_VERSION"), std::string(text));
  CHECK_EQUAL(0, cuGetErrorString(2, &text));
  CHECK_EQUAL(std::string("out of memory"), std::string(text));
  CHECK_EQUAL(1, cuGetErrorName(12345, &text));
}

}  // namespace

int main() {
  nothingWorksBeforeInit();
  theDeviceSaysWhatItIs();
  imagesAreChecked();
  theLogTellsWhy();
  ptxIsRead();
  hashesAreSha256();
  functionsAreFound();
  launchesAreChecked();
  extendedLaunchesTakeOneBlockClusters();
  structuresArePassedByValue();
  tensorMapsAreChecked();
  everySymbolIsThere();
  errorsHaveNames();
  return report();
}
