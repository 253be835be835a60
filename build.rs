//! Lets binaries find a prebuilt `DuckDB` library at run time without `LD_LIBRARY_PATH`, and puts the definitions of
//! formats into the crate.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    let bundled = std::env::var_os("CARGO_FEATURE_BUNDLED").is_some();
    if let (false, Ok(dir)) = (bundled, std::env::var("DUCKDB_LIB_DIR")) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{dir}");
    }
    write_formats();
}

/// Writes all definitions of formats into one JSON text, without their samples. JSON is read ten times as fast as TOML.
fn write_formats() {
    const FOLDER: &str = "src/ingest/formats/library";
    println!("cargo:rerun-if-changed={FOLDER}");
    let mut paths: Vec<_> = std::fs::read_dir(FOLDER)
        .expect("the folder of formats")
        .map(|entry| entry.expect("an entry of the folder of formats").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    let definitions: Vec<_> = paths.iter().map(|path| definition(path)).collect();
    let text = serde_json::to_string(&definitions).expect("definitions as JSON");
    let folder = std::env::var_os("OUT_DIR").expect("the folder for generated files");
    std::fs::write(Path::new(&folder).join("formats.json"), text).expect("the definitions are written");
}

fn definition(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).expect("a readable definition");
    let mut table: toml::Table =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    table.remove("sample");
    serde_json::to_value(table).expect("a definition as JSON")
}
