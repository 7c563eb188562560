//! The command line of the tool.

use crate::disk::{Image, SIZE_MIB};
use crate::error::{Context, Error, Result};
use crate::initfs;
use crate::output::Output;
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What `--help` prints.
pub const HELP: &str = "\
filesystem-image: builds what LimitlessOS boots from

filesystem-image initfs --root DIR --programs DIR --out FILE [--add NAME=FILE]
    Packs DIR/etc and the programs that DIR/initfs.toml lists.
    --root DIR       the tree of what goes in (filesystem-image/ in the project)
    --programs DIR   where the built programs are; repeatable, the first that has a program counts
    --add NAME=FILE  one more file, executable; repeatable
    --out FILE       the archive

filesystem-image image --kernel ELF --loader EFI --initfs FILE --out FILE [options]
    Makes a disk image: GPT, an EFI system partition, a FAT32 partition with DIR/data.
    --root DIR       the same tree [filesystem-image]
    --cmdline TEXT   the kernel's options [the contents of DIR/cmdline.txt]
    --size MiB       the image's size [128]
    --out FILE       the image

Equal inputs give equal outputs. Files in the image carry the time SOURCE_DATE_EPOCH
(seconds since 1970), or the start of 2026. FILE is replaced in one step when it is whole.
";

/// Options with their values, in the order given.
struct Given(BTreeMap<String, Vec<String>>);

impl Given {
    fn parse(arguments: &[String], known: &[&str], repeatable: &[&str]) -> Result<Given> {
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let name = argument.strip_prefix("--").filter(|name| known.contains(name));
            let name = name.ok_or_else(|| Error::new(format!("'{argument}' is no option here (see --help)")))?;
            let value = rest.next().ok_or_else(|| Error::new(format!("--{name} needs a value")))?;
            let values = given.entry(name.to_string()).or_default();
            if !values.is_empty() && !repeatable.contains(&name) {
                return Err(Error::new(format!("--{name} is given twice")));
            }
            values.push(value.clone());
        }
        Ok(Given(given))
    }

    fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or(&[])
    }

    fn one(&self, name: &str) -> Option<&String> {
        self.all(name).first()
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        self.one(name).map(PathBuf::from).ok_or_else(|| Error::new(format!("--{name} is missing (see --help)")))
    }
}

fn run_initfs(arguments: &[String]) -> Result<()> {
    let given = Given::parse(arguments, &["root", "programs", "out", "add"], &["programs", "add"])?;
    let (root, out) = (given.path("root")?, given.path("out")?);
    given.path("programs")?;
    let directories: Vec<_> = given.all("programs").iter().map(PathBuf::from).collect();
    let mut extra = Vec::new();
    for value in given.all("add") {
        let (name, file) = value.split_once('=').ok_or_else(|| Error::new(format!("--add {value}: not NAME=FILE")))?;
        extra.push((name.to_string(), PathBuf::from(file)));
    }
    let bytes = initfs::build(&root, &directories, &extra)?;
    let mut output = Output::new(&out)?;
    output.file().write_all(&bytes).about(out.display())?;
    output.finish()
}

fn command_line(given: &Given, root: &Path) -> Result<String> {
    if let Some(text) = given.one("cmdline") {
        return Ok(text.clone());
    }
    let path = root.join("cmdline.txt");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim_end().to_string()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(e).about(path.display()),
    }
}

fn run_image(arguments: &[String]) -> Result<()> {
    let known = ["kernel", "loader", "initfs", "out", "root", "cmdline", "size"];
    let given = Given::parse(arguments, &known, &[])?;
    let root = given.one("root").map_or_else(|| PathBuf::from("filesystem-image"), PathBuf::from);
    let size_mib = match given.one("size") {
        Some(text) => text.parse().about(format!("--size {text}"))?,
        None => SIZE_MIB,
    };
    let image = Image {
        kernel: given.path("kernel")?,
        loader: given.path("loader")?,
        initfs: given.path("initfs")?,
        command_line: command_line(&given, &root)?,
        data: root.join("data"),
        size_mib,
    };
    image.write(&given.path("out")?)
}

/// Does what the arguments (without the program's name) say. What is to be printed, on success.
pub fn run(arguments: &[String]) -> Result<&'static str> {
    if arguments.is_empty() || arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return Ok(HELP);
    }
    match arguments.split_first() {
        Some((command, rest)) if command == "initfs" => run_initfs(rest).map(|()| ""),
        Some((command, rest)) if command == "image" => run_image(rest).map(|()| ""),
        Some((command, _)) => Err(Error::new(format!("'{command}' is no command (see --help)"))),
        None => Ok(HELP),
    }
}

#[cfg(test)]
mod tests {
    use super::{run, HELP};

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn help_is_there_with_and_without_a_command() {
        for line in ["", "--help", "-h", "image --help"] {
            assert_eq!(run(&words(line)).unwrap(), HELP, "{line}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (line, word) in [
            ("imgae", "imgae"),
            ("image --kernel", "--kernel needs a value"),
            ("image kernel", "'kernel'"),
            ("image --programs x", "'--programs'"),
            ("initfs --out a --out b", "twice"),
            ("initfs --root a --out b", "--programs is missing"),
            ("initfs --root a --programs p --out b --add x", "NAME=FILE"),
            ("image --kernel a --loader b --initfs c --out d --size x", "--size x"),
            ("image --kernel /nonexistent/k --loader b --initfs c --out d", "/nonexistent/k"),
        ] {
            let message = run(&words(line)).unwrap_err().to_string();
            assert!(message.contains(word), "{line}: {message}");
        }
    }
}
