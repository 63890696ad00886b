"""Where tools/fetch_sources.py put the files that sources.lock pins."""

def cache(ctx):
    """This project's part of the user's cache."""
    env = ctx.os.environ
    own = env.get("TFLITE_SPARSE_CACHE")
    return own or (env.get("XDG_CACHE_HOME") or env["HOME"] + "/.cache") + "/tflite-sparse"

def locked(ctx, package):
    """The line of a package: version, file, sha256; the rule has the lock file as _lock."""
    for line in ctx.read(ctx.attr._lock).splitlines():
        fields = [field for field in line.split("#")[0].split(" ") if field]
        if fields and fields[0] == package:
            return struct(version = fields[1], file = fields[3], sha256 = fields[4])
    fail("third_party/sources.lock has no line for " + package)
