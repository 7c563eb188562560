//! The project's own rules, kept by reading the source tree.
//!
//! Who may depend on whom, where `unsafe` may stand, how large the kernel may grow, and the
//! shape of files and servers. `make lint` runs these alone; `make test` runs them with the
//! rest. The rules come from the conventions and the architecture pages of the design.

use std::path::Path;

use ci::workspace::{code_only, has_word, read, Crate, Workspace};

/// Where `unsafe` is the job. The last two hold, in one file each, what can't be said otherwise:
/// what a hostile program tries, and a measurement down to the instruction.
const UNSAFE_FOLDERS: [&str; 7] = [
    "kernel/arch/",
    "kernel/boot/",
    "drivers/hal/",
    "schemes/scheme/src/rt",
    "relibc-lite/",
    "apps/test/src/raw.rs",
    "apps/bench/src/raw.rs",
];

/// Crates that hold one of those places and so can't forbid it as a whole.
const UNSAFE_CRATES: [&str; 7] =
    ["kernel/arch", "kernel/boot", "drivers/hal", "schemes/scheme", "relibc-lite", "apps/test", "apps/bench"];

/// The kernel is small enough to read: core, arch and services together, without their tests.
const KERNEL_LINES_MAX: usize = 20_000;

fn workspace() -> Workspace {
    Workspace::load().expect("the source tree")
}

fn none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}

/// Libraries, not servers, among the folders of servers.
fn is_server(folder: &str) -> bool {
    let in_place = folder.starts_with("schemes/") || folder.starts_with("drivers/");
    in_place && folder != "schemes/scheme" && folder != "drivers/hal" && !is_contract(folder)
}

/// A device class's contract: `drivers/<class>` with drivers below it (`drivers/block`).
fn is_contract(folder: &str) -> bool {
    ["drivers/block", "drivers/net", "drivers/sound", "drivers/display", "drivers/input"].contains(&folder)
}

/// The table "who may depend on whom": whether `from` may depend on `on`.
fn allowed(from: &str, on: &str, for_tests: bool) -> bool {
    const KERNEL_INSIDES: [&str; 3] = ["kernel/core", "kernel/services", "kernel/arch"];
    let host_tool =
        |on: &str| ["kernel/abi", "schemes/scheme", "init"].contains(&on) || is_server(on) || is_contract(on);
    let kernel = from == "kernel" || from.starts_with("kernel/");
    if from == on {
        return for_tests; // a crate's own test features
    }
    if for_tests && !kernel {
        // A test is a host program; no further than a host tool may go.
        return host_tool(on) || allowed(from, on, false);
    }
    match from {
        "kernel/abi" => false,
        "kernel/core" | "kernel/boot" | "schemes/scheme" => on == "kernel/abi",
        "kernel/services" | "kernel/arch" | "kernel/fuzz" => ["kernel/abi", "kernel/core"].contains(&on),
        "kernel" => on == "kernel/abi" || KERNEL_INSIDES.contains(&on),
        "drivers/hal" | "init" | "relibc-lite" => ["kernel/abi", "schemes/scheme"].contains(&on),
        "ci" | "filesystem-image" => host_tool(on),
        _ if from.starts_with("apps/") => ["kernel/abi", "schemes/scheme", "relibc-lite"].contains(&on),
        _ if is_contract(from) => ["kernel/abi", "schemes/scheme"].contains(&on),
        _ if from.starts_with("schemes/") => ["kernel/abi", "schemes/scheme"].contains(&on) || is_contract(on),
        _ if from.starts_with("drivers/") => {
            ["kernel/abi", "schemes/scheme", "drivers/hal"].contains(&on) || is_contract(on)
        }
        _ => false,
    }
}

#[test]
fn crates_depend_only_on_whom_they_may() {
    let workspace = workspace();
    assert!(workspace.crates.len() > 10, "the tree was not read");
    let mut faults = Vec::new();
    for from in &workspace.crates {
        for edge in &from.depends_on {
            if !allowed(&from.folder, &edge.folder, edge.for_tests) {
                faults.push(format!("{} on {}", from.folder, edge.folder));
            }
        }
    }
    none("these dependencies are not in the table", &faults);
}

#[test]
fn the_table_refuses_what_it_should() {
    for (from, on) in [
        ("schemes/fat", "kernel/core"),
        ("schemes/fat", "schemes/memfs"),
        ("kernel/core", "kernel/arch"),
        ("kernel/abi", "kernel/core"),
        ("apps/sh", "schemes/fat"),
        ("init", "drivers/hal"),
        ("schemes/fat", "drivers/hal"),
        ("ci", "kernel/core"),
        ("somewhere/new", "kernel/abi"),
    ] {
        assert!(!allowed(from, on, false), "{from} on {on}");
    }
    assert!(!allowed("schemes/fat", "kernel/core", true));
    assert!(allowed("drivers/block/virtio-blk", "drivers/hal", false));
    assert!(allowed("ci", "schemes/fat", false));
}

#[test]
fn unsafe_stands_only_where_it_is_the_job() {
    let sources = workspace().sources().expect("sources");
    let faults: Vec<_> = sources
        .iter()
        .filter(|(name, _)| !UNSAFE_FOLDERS.iter().any(|folder| name.starts_with(folder)))
        .filter(|(_, text)| has_word(&code_only(text), "unsafe"))
        .map(|(name, _)| name.clone())
        .collect();
    none("unsafe outside the places whose job it is", &faults);
}

#[test]
fn every_other_crate_forbids_unsafe() {
    let workspace = workspace();
    let mut faults = Vec::new();
    for one in workspace.crates.iter().filter(|one| !UNSAFE_CRATES.contains(&one.folder.as_str())) {
        // A test or a build script runs on the host and inherits the workspace's deny.
        for root in one.roots.iter().filter(|root| root.components().any(|part| part.as_os_str() == "src")) {
            let code = code_only(&read(root).expect("a crate's root"));
            // A program for the bare machine exports its entry by an attribute that counts as unsafe
            // code, so it can only deny; the keyword itself is looked for above.
            let exports_entry = code.contains("no_main") && code.contains("#![deny(unsafe_code)]");
            if !code.contains("#![forbid(unsafe_code)]") && !exports_entry {
                faults.push(workspace.name_of(root));
            }
        }
    }
    none("these do not say #![forbid(unsafe_code)]", &faults);
}

#[test]
fn the_kernel_is_small_enough_to_read() {
    let workspace = workspace();
    let mut lines = 0;
    for folder in ["kernel/core/src", "kernel/arch/src", "kernel/services/src"] {
        for path in workspace.rust_files(folder, true).expect("sources") {
            // What runs on the host alone is not the kernel: tests, the test machine, the world they live in.
            let name = workspace.name_of(&path);
            if ["/tests", "/test_machine", "/world"].iter().any(|part| name.contains(part)) {
                continue;
            }
            lines += read(&path).expect("a source").lines().count();
        }
    }
    println!("core, arch and services: {lines} lines");
    assert!(lines > 0, "the kernel was not found");
    assert!(lines < KERNEL_LINES_MAX, "{lines} lines, and {KERNEL_LINES_MAX} is the limit");
}

#[test]
fn every_file_opens_with_a_tagline() {
    let mut faults = Vec::new();
    for (name, text) in workspace().sources().expect("sources") {
        let first = text.lines().next().unwrap_or_default();
        match first.strip_prefix("//! ") {
            Some(tagline) if tagline.chars().count() <= 80 => {}
            Some(tagline) => faults.push(format!("{name}: {} characters", tagline.chars().count())),
            None => faults.push(format!("{name}: opens with {first:?}")),
        }
    }
    none("a file's first line is //! and at most 80 characters", &faults);
}

#[test]
fn nine_files_in_ten_are_under_450_lines() {
    let sources = workspace().sources().expect("sources");
    let mut long: Vec<_> = sources
        .iter()
        .map(|(name, text)| (text.lines().count(), name))
        .filter(|(lines, _)| *lines > 450)
        .map(|(lines, name)| format!("{name}: {lines}"))
        .collect();
    if long.len() * 10 <= sources.len() {
        long.clear();
    }
    none("more than one file in ten is past 450 lines", &long);
}

#[test]
fn every_server_has_the_same_shape() {
    let workspace = workspace();
    let mut faults = Vec::new();
    let serves = |one: &&Crate| is_server(&one.folder) && !serves_nothing(&workspace, one);
    for server in workspace.crates.iter().filter(serves) {
        let folder = workspace.root.join(&server.folder);
        for part in ["README.md", "src/main.rs", "src/server.rs", "tests"] {
            if !folder.join(part).exists() {
                faults.push(format!("{}: no {part}", server.folder));
            }
        }
        faults.extend(readme_faults(&folder, server));
    }
    none("a server's folder lacks what every server has", &faults);
}

/// Whether a program's manifest names no scheme: it is started like a server and is none.
fn serves_nothing(workspace: &Workspace, program: &Crate) -> bool {
    let manifest = workspace.root.join(format!("filesystem-image/etc/init/{}.toml", program.name));
    read(&manifest).is_ok_and(|text| !text.lines().any(|line| line.starts_with("scheme ")))
}

fn readme_faults(folder: &Path, server: &Crate) -> Vec<String> {
    let Ok(text) = read(&folder.join("README.md")) else {
        return Vec::new(); // named already
    };
    // The manifest's snippet, and what the server can't do yet.
    [("```toml", "manifest snippet"), ("limits", "word on its present limits")]
        .into_iter()
        .filter(|(sign, _)| !text.to_lowercase().contains(sign))
        .map(|(_, what)| format!("{}/README.md: no {what}", server.folder))
        .collect()
}
