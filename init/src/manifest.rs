//! The manifest of a service: what it is started with, and nothing else.
//!
//! Manifests are TOML files under `etc/init` of initfs. A *template* (`template = true`) is not started by
//! itself: the device manager asks for instances of it, and `{instance}` in its strings becomes
//! the instance's name. Unknown keys are errors: a misspelt right must not be a right silently
//! left out, nor a limit silently dropped.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Deserialize;

/// When a service that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// However it ended.
    #[default]
    Always,
    /// Unless it exited with code 0.
    OnFailure,
    /// Never.
    Never,
}

/// Whether a service is started on this machine at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// On every machine.
    #[default]
    Always,
    /// Only under a hypervisor or an emulator (CPUID leaf 1, ECX bit 31).
    Hypervisor,
}

/// A capability that a service is given beside its endpoint, log and namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Grant {
    /// A range of I/O ports.
    Ports {
        /// The handle's name.
        name: String,
        /// The first port.
        first: u16,
        /// How many; 65536 is all of them.
        count: u32,
    },
    /// One interrupt line, edge-triggered and active high as ISA has it.
    InterruptLine {
        /// The handle's name.
        name: String,
        /// The global system interrupt.
        line: u32,
    },
    /// The range that interrupts are allocated from: for the bus manager.
    Interrupts {
        /// The handle's name.
        name: String,
    },
    /// All device registers (every physical page that is not RAM): for the bus manager.
    DeviceMemory {
        /// The handle's name.
        name: String,
    },
    /// The pages of the firmware's framebuffer; left out where there is none.
    Framebuffer {
        /// The handle's name.
        name: String,
    },
    /// The pages of the ACPI tables, to read.
    AcpiTables {
        /// The handle's name.
        name: String,
    },
    /// The root from which devices' views of memory are made: for the bus manager.
    DmaRoot {
        /// The handle's name.
        name: String,
    },
    /// The initfs archive, to read and execute.
    Initfs {
        /// The handle's name.
        name: String,
    },
    /// The kernel's log, to read.
    LogReader {
        /// The handle's name.
        name: String,
    },
    /// Looking at every account and process.
    QuotaView {
        /// The handle's name.
        name: String,
    },
}

impl Grant {
    /// The name under which the service finds the handle in its start block.
    pub fn name(&self) -> &str {
        match self {
            Grant::Ports { name, .. }
            | Grant::InterruptLine { name, .. }
            | Grant::Interrupts { name }
            | Grant::DeviceMemory { name }
            | Grant::Framebuffer { name }
            | Grant::AcpiTables { name }
            | Grant::DmaRoot { name }
            | Grant::Initfs { name }
            | Grant::LogReader { name }
            | Grant::QuotaView { name } => name,
        }
    }
}

/// A service as its manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// The service's name, unique.
    pub name: String,
    /// The program, a path in initfs.
    pub program: String,
    /// Its arguments after the name.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Its environment, as `NAME=value`.
    #[serde(default)]
    pub environment: Vec<String>,
    /// The scheme it serves, if it serves one.
    #[serde(default)]
    pub scheme: Option<String>,
    /// The schemes it may see. A `*` at the end takes every scheme that begins so.
    #[serde(default)]
    pub namespace: Vec<String>,
    /// Services that must be ready before it is started.
    #[serde(default)]
    pub needs: Vec<String>,
    /// When it is started again.
    #[serde(default)]
    pub restart: Restart,
    /// On which machines it is started.
    #[serde(default)]
    pub when: When,
    /// The priority of its threads, 1 to 250.
    pub priority: u8,
    /// The most memory it may use, page tables and kernel objects included. This or `memory_percent`.
    #[serde(default)]
    pub memory_pages: u64,
    /// The same as a part of all that the machine had free at boot.
    #[serde(default)]
    pub memory_percent: u64,
    /// The memory of its that survives it.
    #[serde(default)]
    pub keepsake_pages: u64,
    /// Whether it is only a pattern for instances.
    #[serde(default)]
    pub template: bool,
    /// Whether a program without a scheme says itself when it is ready (by the handle `ready`).
    #[serde(default)]
    pub says_ready: bool,
    /// A system that lacks it is not whole: `mk/run` ends with 126 when it can't run.
    #[serde(default)]
    pub essential: bool,
    /// The subject that its process is to the security policy; by default the one that may do nothing.
    #[serde(default = "default_name")]
    pub label: String,
    /// The type of its sessions; by default the one that crosses to no other label.
    #[serde(default = "default_name")]
    pub object_type: String,
    /// Types of sessions that the server tells apart, by its own names for them.
    #[serde(default)]
    pub object_types: BTreeMap<String, String>,
    /// Further capabilities.
    #[serde(default, rename = "capability")]
    pub capabilities: Vec<Grant>,
}

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub String);

impl core::fmt::Display for Invalid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest name of a service or a scheme.
pub const NAME: usize = 31;

fn default_name() -> String {
    crate::policy::DEFAULT.to_string()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

impl Manifest {
    /// Reads and checks a manifest.
    pub fn parse(text: &str) -> Result<Manifest, Invalid> {
        let manifest: Manifest = toml::from_str(text).map_err(|e| Invalid(e.to_string()))?;
        let trial = if manifest.template { manifest.instance("0")? } else { manifest.clone() };
        trial.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), Invalid> {
        let fail = |what: String| Err(Invalid(format!("{}: {what}", self.name)));
        if !is_name(&self.name) {
            return fail("the name is not 1 to 31 letters, digits, '-', '.' or '_'".to_owned());
        }
        for scheme in self.scheme.iter() {
            if !is_name(scheme) {
                return fail(format!("'{scheme}' is no scheme name"));
            }
        }
        for pattern in &self.namespace {
            let stem = pattern.strip_suffix('*').unwrap_or(pattern);
            if !(is_name(stem) || pattern == "*") {
                return fail(format!("'{pattern}' is no scheme name or pattern"));
            }
        }
        if !(1..=250).contains(&self.priority) {
            return fail("priority must be 1 to 250".to_owned());
        }
        let pages = (16..=1 << 30).contains(&self.memory_pages);
        let percent = (1..=90).contains(&self.memory_percent);
        if (self.memory_pages != 0 && self.memory_percent != 0) || !(pages || percent) {
            return fail("one of memory-pages (16 to 2^30) and memory-percent (1 to 90) must be given".to_owned());
        }
        for name in self.object_types.keys() {
            if !is_name(name) || self.scheme.is_none() {
                return fail(format!("object type '{name}': no name, or there is no scheme that could have it"));
            }
        }
        let mut names: Vec<&str> = self.capabilities.iter().map(Grant::name).collect();
        names.sort_unstable();
        let reserved = ["log", "endpoint", "keepsake", "ready", "stdin", "stdout", "stderr"];
        for pair in names.windows(2) {
            if pair.first() == pair.last() {
                return fail(format!("two capabilities are named '{}'", pair.concat()));
            }
        }
        for name in names {
            if name.is_empty() || name.len() > abi::start::HANDLE_NAME || reserved.contains(&name) {
                return fail(format!("'{name}' can't be a capability's name"));
            }
        }
        for grant in &self.capabilities {
            if let Grant::Ports { first, count, .. } = grant {
                if *count == 0 || u32::from(*first).saturating_add(*count) > 65536 {
                    return fail("the port range is empty or past the last port".to_owned());
                }
            }
        }
        Ok(())
    }

    /// The manifest of an instance of this template.
    pub fn instance(&self, instance: &str) -> Result<Manifest, Invalid> {
        let put = |text: &String| text.replace("{instance}", instance);
        let all = |texts: &Vec<String>| texts.iter().map(put).collect();
        let made = Manifest {
            name: put(&self.name),
            arguments: all(&self.arguments),
            environment: all(&self.environment),
            scheme: self.scheme.as_ref().map(put),
            namespace: all(&self.namespace),
            needs: all(&self.needs),
            template: false,
            ..self.clone()
        };
        made.check()?;
        Ok(made)
    }

    /// The most pages it may use on a machine that had `free_pages`.
    pub fn pages(&self, free_pages: u64) -> u64 {
        match self.memory_pages {
            0 => free_pages.saturating_mul(self.memory_percent) / 100,
            pages => pages,
        }
    }

    /// Whether the service may see this scheme.
    pub fn sees(&self, scheme: &str) -> bool {
        self.namespace.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(stem) => scheme.starts_with(stem),
            None => pattern == scheme,
        })
    }
}

/// Checks manifests against each other: names and schemes are unique, needs exist and have no cycle.
pub fn check_all(manifests: &[Manifest]) -> Result<(), Invalid> {
    for (i, one) in manifests.iter().enumerate() {
        for other in manifests.iter().skip(i.saturating_add(1)) {
            if one.name == other.name {
                return Err(Invalid(format!("two services are named '{}'", one.name)));
            }
            if one.scheme.is_some() && one.scheme == other.scheme {
                return Err(Invalid(format!("'{}' and '{}' serve the same scheme", one.name, other.name)));
            }
        }
        for need in &one.needs {
            if !manifests.iter().any(|m| m.name == *need) {
                return Err(Invalid(format!("'{}' needs '{need}', which is no service", one.name)));
            }
        }
    }
    // Take away services whose needs are all taken; what is left is or hangs on a cycle.
    let mut left: Vec<&Manifest> = manifests.iter().collect();
    loop {
        let before = left.len();
        let names: Vec<String> = left.iter().map(|m| m.name.clone()).collect();
        left.retain(|m| m.needs.iter().any(|n| names.contains(n)));
        if left.is_empty() {
            return Ok(());
        }
        if left.len() == before {
            return Err(Invalid(format!("'{}' needs itself in a circle", names.join("', '"))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{check_all, Grant, Manifest, Restart, When};

    const CONSOLE: &str = r#"
        name = "console"
        program = "bin/console"
        scheme = "console"
        priority = 120
        memory-pages = 2048
        keepsake-pages = 4
        [[capability]]
        kind = "ports"
        name = "com1"
        first = 0x3f8
        count = 8
    "#;

    fn with(line: &str) -> String {
        let (head, tail) = CONSOLE.split_at(CONSOLE.find("[[").unwrap());
        format!("{head}{line}\n{tail}")
    }

    #[test]
    fn a_manifest_reads_with_its_defaults() {
        let manifest = Manifest::parse(CONSOLE).unwrap();
        assert_eq!((manifest.restart, manifest.when), (Restart::Always, When::Always));
        assert_eq!(manifest.capabilities, [Grant::Ports { name: "com1".into(), first: 0x3f8, count: 8 }]);
        assert!(!manifest.sees("console"));
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused() {
        for line in
            ["namespaces = ['file']", "restart = 'sometimes'", "namespace = ['a:b']", "namespace = ['*x']", "needs = 3"]
        {
            assert!(Manifest::parse(&with(line)).is_err(), "{line}");
        }
        for (from, to) in [
            ("priority = 120", "priority = 251"),
            ("memory-pages = 2048", "memory-pages = 1"),
            ("memory-pages = 2048", "memory-percent = 91"),
            ("memory-pages = 2048", "memory-pages = 16\nmemory-percent = 5"),
            ("memory-pages = 2048", ""),
            ("count = 8", "count = 65000"),
            ("\"com1\"", "\"log\""),
            ("\"console\"", "\"con sole\""),
            ("kind = \"ports\"", "kind = \"everything\""),
        ] {
            assert!(Manifest::parse(&CONSOLE.replacen(from, to, 1)).is_err(), "{to}");
        }
    }

    #[test]
    fn patterns_take_what_begins_so() {
        let manifest = Manifest::parse(&with("namespace = ['file', 'disk-*']")).unwrap();
        assert!(manifest.sees("file") && manifest.sees("disk-1-2"));
        assert!(!manifest.sees("files") && !manifest.sees("dis"));
    }

    #[test]
    fn instances_are_made_of_templates() {
        let text =
            CONSOLE.replace("\"console\"", "\"block-{instance}\"").replacen("priority", "template = true\npriority", 1);
        let made = Manifest::parse(&text).unwrap().instance("3").unwrap();
        assert_eq!((made.name.as_str(), made.scheme.as_deref(), made.template), ("block-3", Some("block-3"), false));
    }

    #[test]
    fn circles_twins_and_missing_needs_are_found() {
        let make = |name: &str, needs: &[&str]| {
            let mut m = Manifest::parse(CONSOLE).unwrap();
            m.name = name.into();
            m.scheme = None;
            m.needs = needs.iter().map(|s| s.to_string()).collect();
            m
        };
        assert!(check_all(&[make("a", &["b"]), make("b", &[])]).is_ok());
        assert!(check_all(&[make("a", &["b"]), make("b", &["c"]), make("c", &["a"])]).is_err());
        assert!(check_all(&[make("a", &[]), make("a", &[])]).is_err());
        assert!(check_all(&[make("a", &["x"])]).is_err());
    }
}
