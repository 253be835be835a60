# Sourced by the other scripts: puts a prebuilt DuckDB library into the cache folder and sets $features so that
# cargo links it, and $library_features to do so without the command line. Where that is impossible, they let cargo
# compile the engine, and a line says why.

cache="${XDG_CACHE_HOME:-$HOME/.cache}/logstore"
# Outside the clone, so that another clone compiles nothing twice.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"

engine_version=1.5.5-r.5

# The package of this platform and the SHA-512 of its archive.
engine_package() {
    case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo linux-x64 902caae815e19fa4177f017cc957552ab8924873feadf556709e7a706f2a67394e669c72bd3e561a6ea332c871838762b4b94eb07b0837f0f8ed162b7235ee1d ;;
    Linux-aarch64) echo linux-arm64 09a7c7d8022f5eda700f29c6dca07fe2e10e1d11a516807b6ae091308c07dc128d2286ec00d5792d2a43277b5fc9108522c2ba7bc013d5eb1e5959eed83bf773 ;;
    Darwin-x86_64) echo darwin-x64 acdd0a8d7d77330550e55e6e7f292896dcbfb5fe1269a7cea4659c500d427a07fdf233de45db09b0413520c5e7f27deee96bcc4991152661c9de66b81ebed5ce ;;
    Darwin-arm64) echo darwin-arm64 58975e2d3172e29460eb4ae46e9f6c9ad94fd62210f04aed2099314bed8b42d335659312072c96fb758fa4da0a7bb2303ed565d9f2e53f0eed0e6416e19f7be2 ;;
    *) return 1 ;;
    esac
}

sha512() {
    if command -v sha512sum >/dev/null; then sha512sum "$1"; else shasum -a 512 "$1"; fi | cut -d ' ' -f 1
}

# Leaves the library in $1; prints what went wrong.
fetch_engine() {
    local folder=$1 platform hash archive work
    read -r platform hash < <(engine_package) || { echo "there is none for $(uname -sm)"; return 1; }
    command -v npm >/dev/null || { echo "npm is not installed"; return 1; }
    work=$(mktemp -d "$cache/engine.XXXXXX") || { echo "cannot write to $cache"; return 1; }
    archive=$(cd "$work" && npm pack --silent "@duckdb/node-bindings-$platform@$engine_version" 2>"$work/errors") ||
        { echo "the download failed: $(head -n 1 "$work/errors")"; rm -rf "$work"; return 1; }
    if [ "$(sha512 "$work/$archive")" != "$hash" ]; then
        echo "the download is not what it should be"
        rm -rf "$work"
        return 1
    fi
    # In place only when it is complete, so that two scripts at once do no harm.
    mkdir "$work/unpacked" && tar -xzf "$work/$archive" -C "$work/unpacked" &&
        mkdir -p "$(dirname "$folder")" && rm -rf "$folder" && mkdir "$folder" &&
        mv "$work"/unpacked/package/libduckdb.* "$folder/" || { echo "cannot unpack it"; return 1; }
    rm -rf "$work"
}

engine_folder="$cache/engine/$engine_version"
mkdir -p "$cache"
if ls "$engine_folder"/libduckdb.* >/dev/null 2>&1 || problem=$(fetch_engine "$engine_folder"); then
    export DUCKDB_LIB_DIR="$engine_folder"
    # Documentation tests are linked without the path that the build script sets.
    export LD_LIBRARY_PATH="$engine_folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    export DYLD_LIBRARY_PATH="$engine_folder${DYLD_LIBRARY_PATH:+:$DYLD_LIBRARY_PATH}"
    features=(--no-default-features --features cli,evtx)
    library_features=(--no-default-features)
else
    echo "logstore: no prebuilt engine ($problem); compiling it, which takes about 22 minutes on 2 cores" >&2
    unset DUCKDB_LIB_DIR
    features=()
    library_features=(--no-default-features --features bundled)
fi
