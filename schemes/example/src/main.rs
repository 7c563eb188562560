//! The example's program: wires the scheme to its endpoint.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

fn run() -> u64 {
    scheme::server::serve(example::Hello::new())
}

scheme::entry!(run);
