//! The `filesystem-image` tool: see `--help`.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    match filesystem_image::options::run(&arguments) {
        Ok(text) => {
            // A reader that has seen enough, as in `--help | head`, is no failure.
            std::io::stdout().write_all(text.as_bytes()).unwrap_or_default();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("filesystem-image: {error}");
            ExitCode::FAILURE
        }
    }
}
