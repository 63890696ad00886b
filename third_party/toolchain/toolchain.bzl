"""A C and C++ toolchain: a clang, and the flags that all of ours share."""

load("@bazel_tools//tools/cpp:unix_cc_toolchain_config.bzl", "cc_toolchain_config")

def toolchain(name, cpu, compiler, tools, headers, link_flags, files, compile_flags = [], start_end_lib = False):
    """Defines the cc_toolchain `name`.

    Args:
      name: its name.
      cpu: the cpu that it compiles for, by Bazel's name.
      compiler: "zig" or "clang", for --compiler.
      tools: {"ar": ..., "gcc": ...}, paths of the archiver and the compiler.
      headers: folders of headers that come with the compiler.
      link_flags: flags of every link.
      files: label of the files that the tools consist of.
      compile_flags: flags of every compilation.
      start_end_lib: whether the linker takes objects in place of archives.
    """
    not_needed = ["dwp", "gcov", "ld", "llvm-cov", "nm", "objcopy", "objdump", "strip"]
    tool_paths = {tool: "/bin/false" for tool in not_needed}
    tool_paths.update(tools)
    tool_paths["cpp"] = tools["gcc"]
    cc_toolchain_config(
        name = name + "_config",
        abi_libc_version = "local",
        abi_version = "local",
        compile_flags = compile_flags,
        compiler = compiler,
        cpu = cpu,
        cxx_builtin_include_directories = headers,
        cxx_flags = ["-std=c++17"],
        dbg_compile_flags = ["-g"],
        host_system_name = "local",
        link_flags = link_flags,
        opt_compile_flags = [
            "-g0",
            "-O2",
            "-DNDEBUG",
            "-ffunction-sections",
            "-fdata-sections",
        ],
        opt_link_flags = ["-Wl,--gc-sections"],
        supports_start_end_lib = start_end_lib,
        target_libc = "local",
        target_system_name = "local",
        tool_paths = tool_paths,
        toolchain_identifier = compiler + "-" + cpu,
        # The same sources give the same bytes, whenever they are compiled.
        unfiltered_compile_flags = [
            "-no-canonical-prefixes",
            "-Wno-builtin-macro-redefined",
            "-D__DATE__=\"redacted\"",
            "-D__TIMESTAMP__=\"redacted\"",
            "-D__TIME__=\"redacted\"",
        ],
    )
    native.cc_toolchain(
        name = name,
        all_files = files,
        ar_files = files,
        as_files = files,
        compiler_files = files,
        dwp_files = files,
        linker_files = files,
        objcopy_files = files,
        strip_files = files,
        toolchain_config = ":" + name + "_config",
    )
