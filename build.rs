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
        // `cargo::error` and not stderr: cargo prints this as its own one-line error, without the frame of a crashed script.
        println!(
            "cargo::error={} is missing. Run `make setup` once: it fetches DuckDB's library (checksum pinned) and links it as .deps/duckdb. \
             Or build with `--features bundled`, which compiles DuckDB (about 40 CPU-minutes).",
            library.display()
        );
        return;
    };
    // An installed binary in PREFIX/bin finds the library in PREFIX/lib/ipfs-kitd, one in the build tree where it was linked.
    // `make dist` leaves the second out: a service must not load code from the cache of whoever built it.
    println!("cargo:rerun-if-env-changed=IPFS_KITD_DIST");
    let cache = match env::var_os("IPFS_KITD_DIST") {
        Some(_) => String::new(),
        None => real.parent().map(|p| format!(":{}", p.display())).unwrap_or_default(),
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/ipfs-kitd{cache}");
}
