//! The security policy: from names in TOML to the kernel's numbers.
//!
//! Files under `etc/security` of initfs declare subjects and object types, and say what each subject may do with each
//! type. All files are one policy; what is declared in one can be used in every other. Whatever is not allowed
//! is denied. Misspelt keys, unknown names and rules said twice are errors: a policy that is not understood whole is
//! not loaded at all.

use abi::security::{Shape, DEFAULT_SUBJECT, DEFAULT_TYPE, INIT_SUBJECT, MAX_LENGTH, SUBJECTS, TYPES};
use abi::Rights;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Deserialize;

/// Where the files are in initfs.
pub const DIRECTORY: &str = "etc/security/";
/// The subject that may do nothing, and the type that nobody else may have.
pub const DEFAULT: &str = "default";
/// The first process's subject.
pub const INIT: &str = "init";
/// The longest name.
const NAME: usize = 31;

/// A right to sessions of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Right {
    /// To call them, and to have them at all.
    Send,
    /// To look at what they are.
    Inspect,
    /// To derive from them.
    Derive,
    /// To pass them on.
    Transfer,
    /// To make them: the server's.
    Manage,
}

impl Right {
    fn bits(self) -> Rights {
        match self {
            Right::Send => Rights::SEND,
            Right::Inspect => Rights::INSPECT,
            Right::Derive => Rights::DERIVE,
            Right::Transfer => Rights::TRANSFER,
            Right::Manage => Rights::MANAGE,
        }
    }
}

/// What a subject may do with sessions of some types.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Rule {
    subject: String,
    types: Vec<String>,
    rights: Vec<Right>,
}

/// Which labels a subject may give to the processes it makes, beside its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Transition {
    from: String,
    to: Vec<String>,
}

/// A file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    allow: Vec<Rule>,
    #[serde(default)]
    transition: Vec<Transition>,
}

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub String);

impl core::fmt::Display for Invalid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A policy: its names in the order of their numbers, and what the kernel is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    subjects: Vec<String>,
    types: Vec<String>,
    bytes: Vec<u8>,
}

fn number(names: &[String], name: &str) -> Option<u32> {
    names.iter().position(|known| known == name).and_then(|at| u32::try_from(at).ok())
}

/// Adds declared names. Errors where one is malformed, taken, or one too many.
fn declare(all: &mut Vec<String>, names: &[String], most: u32, place: &str) -> Result<(), Invalid> {
    for name in names {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > NAME || !name.bytes().all(plain) {
            return Err(Invalid(format!("{place}: '{name}' is not 1 to 31 lower-case letters, digits or '-'")));
        }
        if all.contains(name) {
            return Err(Invalid(format!("{place}: '{name}' is declared already")));
        }
        if all.len() >= most as usize {
            return Err(Invalid(format!("{place}: '{name}' is more than the {most} there can be")));
        }
        all.push(name.clone());
    }
    Ok(())
}

impl Policy {
    /// Compiles files, given as name and text. Errors: what is wrong, with the file and the key.
    pub fn compile<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Policy, Invalid> {
        let mut parsed: Vec<(&str, File)> = Vec::new();
        for (name, text) in files {
            let file = toml::from_str(text).map_err(|error| Invalid(format!("{name}: {error}")))?;
            parsed.push((name, file));
        }
        let mut subjects = [DEFAULT, INIT].map(ToString::to_string).to_vec();
        let mut types = [DEFAULT.to_string()].to_vec();
        for (name, file) in &parsed {
            declare(&mut subjects, &file.subjects, SUBJECTS, &format!("{name}: subjects"))?;
            declare(&mut types, &file.types, TYPES, &format!("{name}: types"))?;
        }
        let count = |names: &[String]| u32::try_from(names.len()).unwrap_or(u32::MAX);
        let shape = Shape { subjects: count(&subjects), types: count(&types) };
        if !shape.is_valid() {
            let length = shape.length();
            return Err(Invalid(format!("{DIRECTORY}: {length} bytes of policy, and {MAX_LENGTH} is the most")));
        }
        let mut bytes = shape.header().to_vec();
        bytes.resize(shape.length(), 0);
        let mut policy = Policy { subjects, types, bytes };
        let mut said = BTreeSet::new();
        for (name, file) in &parsed {
            for (index, rule) in file.allow.iter().enumerate() {
                policy.allow(&shape, rule, &mut said, &format!("{name}: allow {}", index.saturating_add(1)))?;
            }
            for (index, transition) in file.transition.iter().enumerate() {
                let place = format!("{name}: transition {}", index.saturating_add(1));
                let from = policy.subject_in(&transition.from, "from", &place)?;
                for to in &transition.to {
                    let to = policy.known(number(&policy.subjects, to), "to", to, &place)?;
                    shape.let_label(&mut policy.bytes, from, to);
                }
            }
        }
        Ok(policy)
    }

    fn known(&self, found: Option<u32>, key: &str, name: &str, place: &str) -> Result<u32, Invalid> {
        found.ok_or_else(|| Invalid(format!("{place}: {key}: '{name}' is declared nowhere")))
    }

    /// A subject that a rule is about: the default one can be given nothing.
    fn subject_in(&self, name: &str, key: &str, place: &str) -> Result<u32, Invalid> {
        match self.known(number(&self.subjects, name), key, name, place)? {
            DEFAULT_SUBJECT => Err(Invalid(format!("{place}: {key}: '{DEFAULT}' may do nothing, always"))),
            subject => Ok(subject),
        }
    }

    fn allow(
        &mut self,
        shape: &Shape,
        rule: &Rule,
        said: &mut BTreeSet<(u32, u32)>,
        place: &str,
    ) -> Result<(), Invalid> {
        let subject = self.subject_in(&rule.subject, "subject", place)?;
        if rule.rights.is_empty() || rule.types.is_empty() {
            return Err(Invalid(format!("{place}: types and rights must each have one at least")));
        }
        let rights = rule.rights.iter().fold(Rights::empty(), |all, right| all | right.bits());
        // Without `send` a session is not handed over at all: such a rule would say nothing.
        if !rights.intersects(Rights::SEND | Rights::MANAGE) {
            return Err(Invalid(format!("{place}: rights: without \"send\" or \"manage\" the others give nothing")));
        }
        for name in &rule.types {
            let object_type = self.known(number(&self.types, name), "types", name, place)?;
            if object_type == DEFAULT_TYPE {
                return Err(Invalid(format!("{place}: types: '{DEFAULT}' is nobody's, always")));
            }
            if !said.insert((subject, object_type)) {
                return Err(Invalid(format!("{place}: '{}' and '{name}' have a rule already", rule.subject)));
            }
            shape.allow(&mut self.bytes, subject, object_type, rights);
        }
        Ok(())
    }

    /// What the kernel is given.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The subjects' names, by number.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// The types' names, by number.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// A subject's number.
    pub fn subject(&self, name: &str) -> Option<u32> {
        number(&self.subjects, name)
    }

    /// A type's number.
    pub fn object_type(&self, name: &str) -> Option<u32> {
        number(&self.types, name)
    }
}

const _: () = assert!(DEFAULT_SUBJECT == 0 && INIT_SUBJECT == 1 && DEFAULT_TYPE == 0);

#[cfg(test)]
mod tests;
