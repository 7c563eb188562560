// The build script of every program for LimitlessOS: `include!("../scheme/link.rs");` is all its build.rs
// says. For the machine itself (target_os "none") it names the linker script; for the host it does nothing.

fn main() {
    println!("cargo:rerun-if-env-changed=CARGO_CFG_TARGET_OS");
    let of_env = |name: &str| std::env::var(name).unwrap_or_default();
    if of_env("CARGO_CFG_TARGET_OS") != "none" {
        return;
    }
    let here = of_env("CARGO_MANIFEST_DIR");
    let script = std::path::Path::new(&here)
        .ancestors()
        .map(|dir| dir.join("schemes/scheme/user.ld"))
        .find(|path| path.exists())
        .expect("schemes/scheme/user.ld lies in the workspace above this crate");
    println!("cargo:rerun-if-changed={}", script.display());
    println!("cargo:rustc-link-arg-bins=-T{}", script.display());
}
