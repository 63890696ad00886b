"""External repositories made from the tarballs that sources.lock pins."""

load("//third_party:cache.bzl", "cache", "locked")

def _source_impl(ctx):
    pinned = locked(ctx, ctx.name)
    tarball = ctx.path(cache(ctx) + "/sources/" + pinned.file)
    if not tarball.exists:
        fail("%s is missing: run `python3 tools/fetch_sources.py`, which fetches it" % tarball)

    # A "download" from the local file is what makes Bazel check the sha256.
    ctx.download("file://" + str(tarball), "tarball", pinned.sha256)
    unpack = ["tar", "-xf", "tarball", "--strip-components=%d" % ctx.attr.strip] + ctx.attr.members
    upstreams_own = ["find", ".", "(", "-name", "BUILD*", "-o", "-name", "WORKSPACE*"]
    if not ctx.attr.keep_bzl:
        upstreams_own += ["-o", "-name", "*.bzl"]
    for command in [unpack, ["rm", "tarball"], upstreams_own + [")", "-type", "f", "-delete"]]:
        done = ctx.execute(command)
        if done.return_code:
            fail("%s: %s: %s" % (pinned.file, " ".join(command), done.stderr))
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
