"""External repositories made from the tarballs that sources.lock pins."""

def _cache(ctx):
    env = ctx.os.environ
    own = env.get("TFLITE_SPARSE_CACHE")
    if own:
        return own + "/sources"
    return (env.get("XDG_CACHE_HOME") or env["HOME"] + "/.cache") + "/tflite-sparse/sources"

def _locked(ctx):
    """The (file, sha256) that the lock file gives this package."""
    for line in ctx.read(ctx.attr._lock).splitlines():
        fields = [field for field in line.split("#")[0].split(" ") if field]
        if fields and fields[0] == ctx.name:
            return fields[3], fields[4]
    fail("third_party/sources.lock has no line for " + ctx.name)

def _source_impl(ctx):
    file, sha256 = _locked(ctx)
    tarball = ctx.path(_cache(ctx) + "/" + file)
    if not tarball.exists:
        fail("%s is missing: run `python3 tools/fetch_sources.py`, which fetches it" % tarball)

    # A "download" from the local file is what makes Bazel check the sha256.
    ctx.download("file://" + str(tarball), "tarball", sha256)
    unpack = ["tar", "-xf", "tarball", "--strip-components=%d" % ctx.attr.strip] + ctx.attr.members
    upstreams_own = ["find", ".", "(", "-name", "BUILD*", "-o", "-name", "WORKSPACE*"]
    if not ctx.attr.keep_bzl:
        upstreams_own += ["-o", "-name", "*.bzl"]
    for command in [unpack, ["rm", "tarball"], upstreams_own + [")", "-type", "f", "-delete"]]:
        done = ctx.execute(command)
        if done.return_code:
            fail("%s: %s: %s" % (file, " ".join(command), done.stderr))
    for patch in ctx.attr.patches:
        ctx.patch(patch, strip = 1)
    ctx.symlink(ctx.attr.build_file or Label("//third_party:%s.BUILD" % ctx.name), "BUILD.bazel")
    for package in ctx.attr.packages:
        ctx.file(package + "/BUILD.bazel", "")

source = repository_rule(
    implementation = _source_impl,
    doc = """One Debian source package: unpacked, stripped of its own build files, patched.

    Its BUILD file is //third_party:NAME.BUILD. Editing the lock file, the BUILD
    file or a patch makes Bazel build the repository anew.""",
    attrs = {
        "build_file": attr.label(doc = "Overrides //third_party:NAME.BUILD."),
        "keep_bzl": attr.bool(doc = "Keep upstream's .bzl files: they hold lists of sources."),
        "members": attr.string_list(doc = "Only these members of the tarball; all when empty."),
        "packages": attr.string_list(doc = "Folders to make Bazel packages, so that .bzl files in them load."),
        "patches": attr.label_list(doc = "Patches, applied in order with -p1."),
        "strip": attr.int(doc = "How many leading folders the tarball's members have."),
        "_lock": attr.label(default = "//third_party:sources.lock", allow_single_file = True),
    },
    environ = ["HOME", "XDG_CACHE_HOME", "TFLITE_SPARSE_CACHE"],
)
