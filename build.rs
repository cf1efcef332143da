//! Checks that the prebuilt DuckDB library is there and tells the linker where the binaries find it.
use std::{env, path::PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_BUNDLED").is_some() {
        return;
    }
    let dir = PathBuf::from(env::var_os("DUCKDB_LIB_DIR").unwrap_or_default());
    let library = dir.join("libduckdb.so");
    println!("cargo:rerun-if-changed={}", library.display());
    let Ok(real) = library.canonicalize() else {
        eprintln!(
            "error: {} is missing. Run `make setup` once: it fetches DuckDB's library (checksum pinned) and links it as .deps/duckdb. \
             Or build with `--features bundled`, which compiles DuckDB (about 40 CPU-minutes).",
            library.display()
        );
        std::process::exit(1);
    };
    let dir = real.parent().map(|p| p.display().to_string()).unwrap_or_default();
    // An installed binary in PREFIX/bin finds the library in PREFIX/lib/ipfs-kitd, one in the build tree where it was linked.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/ipfs-kitd:{dir}");
}
