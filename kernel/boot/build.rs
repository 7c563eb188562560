//! Link arguments of the loader: the same sources give the same bytes.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "uefi") {
        // The file's time stamp becomes a hash of its contents.
        println!("cargo:rustc-link-arg-bins=/Brepro");
        // Nobody debugs the loader with a Windows debugger, and the file it would want holds
        // paths and the names of temporary files, of which the stamp would be a hash too.
        println!("cargo:rustc-link-arg-bins=/DEBUG:NONE");
    }
}
