//! The kernel binary: wires the parts together.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

#[cfg(target_os = "none")]
mod boot;

#[cfg(target_os = "none")]
#[panic_handler]
fn panicked(info: &core::panic::PanicInfo) -> ! {
    kernel_arch::machine::panic::report(info)
}

#[cfg(not(target_os = "none"))]
fn main() {}
