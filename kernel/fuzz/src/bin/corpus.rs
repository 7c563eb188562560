//! Packs a folder of inputs into one file, unpacks one, or runs inputs without
//! libFuzzer.
//!
//! `fuzz-corpus pack FOLDER FILE`, `fuzz-corpus unpack FILE FOLDER`, `fuzz-corpus run TARGET INPUT…`

#![forbid(unsafe_code)]

use kernel_fuzz::pack::{pack, unpack};
use kernel_fuzz::target::Target;
use std::path::Path;
use std::process::ExitCode;

type Outcome = Result<String, String>;

fn told<T>(path: &Path, result: std::io::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{}: {error}", path.display()))
}

/// By name, so that the same inputs always make the same file.
fn pack_folder(folder: &Path, file: &Path) -> Outcome {
    let mut names = Vec::new();
    for entry in told(folder, std::fs::read_dir(folder))? {
        names.push(told(folder, entry)?.path());
    }
    names.sort();
    let inputs = names.iter().map(|name| told(name, std::fs::read(name))).collect::<Result<Vec<_>, _>>()?;
    let packed = pack(&inputs);
    told(file, std::fs::write(file, &packed))?;
    Ok(format!("{} inputs, {} bytes", inputs.len(), packed.len()))
}

fn unpack_file(file: &Path, folder: &Path) -> Outcome {
    let bytes = told(file, std::fs::read(file))?;
    let inputs = unpack(&bytes).ok_or_else(|| format!("{}: ends in the middle of an input", file.display()))?;
    told(folder, std::fs::create_dir_all(folder))?;
    for (number, input) in inputs.iter().enumerate() {
        let name = folder.join(format!("kept-{number:04}"));
        told(&name, std::fs::write(&name, input))?;
    }
    Ok(format!("{} inputs", inputs.len()))
}

fn run(target: &str, inputs: &[String]) -> Outcome {
    let target = Target::ALL.into_iter().find(|t| t.name() == target).ok_or("no such target")?;
    for name in inputs.iter().map(Path::new) {
        let bytes = told(name, std::fs::read(name))?;
        println!("{}", name.display());
        target.run::<{ kernel_fuzz::PLANTED }>(&bytes);
    }
    Ok(format!("{} inputs, nothing wrong", inputs.len()))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [what, folder, file] if what == "pack" => pack_folder(Path::new(folder), Path::new(file)),
        [what, file, folder] if what == "unpack" => unpack_file(Path::new(file), Path::new(folder)),
        [what, target, inputs @ ..] if what == "run" => run(target, inputs),
        _ => Err("pack FOLDER FILE, unpack FILE FOLDER, or run TARGET INPUT…".into()),
    };
    match outcome {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("fuzz-corpus: {text}");
            ExitCode::FAILURE
        }
    }
}
