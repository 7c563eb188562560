//! Compiling policies: what is taken, what is refused, and how that is told.

use super::{Policy, MAX_LENGTH};
use abi::security::{Shape, HEADER};
use abi::Rights;

const FILE: &str = r#"
    subjects = ["disk", "shell"]
    types = ["block", "file"]
    [[allow]]
    subject = "disk"
    types = ["block"]
    rights = ["manage"]
    [[allow]]
    subject = "shell"
    types = ["block", "file"]
    rights = ["send", "inspect"]
    [[transition]]
    from = "init"
    to = ["disk", "shell"]
"#;

fn rights(policy: &Policy, subject: &str, object_type: &str) -> Rights {
    let shape = Shape { subjects: policy.subjects().len() as u32, types: policy.types().len() as u32 };
    let at = shape.right(policy.subject(subject).unwrap(), policy.object_type(object_type).unwrap());
    Rights::from_bits(u16::from_le_bytes([policy.bytes()[at], policy.bytes()[at + 1]])).unwrap()
}

#[test]
fn rules_become_a_matrix() {
    let policy = Policy::compile([("a.toml", FILE)]).unwrap();
    assert_eq!(policy.subjects(), ["default", "init", "disk", "shell"]);
    assert_eq!(policy.types(), ["default", "block", "file"]);
    assert_eq!(rights(&policy, "disk", "block"), Rights::MANAGE);
    assert_eq!(rights(&policy, "disk", "file"), Rights::empty());
    assert_eq!(rights(&policy, "shell", "file"), Rights::SEND | Rights::INSPECT);
    let shape = Shape { subjects: 4, types: 3 };
    assert_eq!(policy.bytes().len(), shape.length());
    let set = |subject| policy.bytes()[shape.transition(subject, 0)];
    assert_eq!([0, 1, 2, 3].map(set), [0, 0b1100, 0, 0]);
}

#[test]
fn files_are_one_policy_whatever_their_order() {
    let rule = "[[allow]]\nsubject = \"b\"\ntypes = [\"t\"]\nrights = [\"send\"]";
    let policy = Policy::compile([("1", rule), ("2", "subjects = [\"b\"]\ntypes = [\"t\"]")]).unwrap();
    assert_eq!(rights(&policy, "b", "t"), Rights::SEND);
    assert_eq!(Policy::compile([]).unwrap().subjects(), ["default", "init"]);
}

fn error(text: &str) -> String {
    Policy::compile([("etc/security/x.toml", text)]).expect_err(text).0
}

#[test]
fn what_is_wrong_is_told_with_file_and_key() {
    let rule = |rest: &str| format!("subjects = [\"s\"]\ntypes = [\"t\"]\n[[allow]]\n{rest}");
    let cases = [
        ("subject = [\"a\"]".to_string(), "unknown field `subject`"),
        ("subjects = \"a\"".into(), "subjects"),
        ("subjects = [\"a\", \"a\"]".into(), "subjects: 'a' is declared already"),
        ("subjects = [\"default\"]".into(), "'default' is declared already"),
        ("types = [\"default\"]".into(), "types: 'default' is declared already"),
        ("types = [\"A b\"]".into(), "types: 'A b' is not"),
        ("types = [\"\"]".into(), "types: '' is not"),
        (rule("subject = \"s\"\ntypes = [\"t\"]\nright = [\"send\"]"), "unknown field `right`"),
        (rule("subject = \"s\"\ntypes = [\"t\"]\nrights = [\"sent\"]"), "unknown variant `sent`"),
        (rule("subject = \"s\"\ntypes = [\"t\"]"), "missing field `rights`"),
        (rule("subject = \"x\"\ntypes = [\"t\"]\nrights = [\"send\"]"), "allow 1: subject: 'x' is declared nowhere"),
        (rule("subject = \"s\"\ntypes = [\"x\"]\nrights = [\"send\"]"), "allow 1: types: 'x' is declared nowhere"),
        (rule("subject = \"default\"\ntypes = [\"t\"]\nrights = [\"send\"]"), "subject: 'default' may do nothing"),
        (rule("subject = \"s\"\ntypes = [\"default\"]\nrights = [\"send\"]"), "types: 'default' is nobody's"),
        (rule("subject = \"s\"\ntypes = [\"t\"]\nrights = []"), "must each have one"),
        (rule("subject = \"s\"\ntypes = [\"t\"]\nrights = [\"inspect\"]"), "the others give nothing"),
        (rule("subject = \"s\"\ntypes = [\"t\", \"t\"]\nrights = [\"send\"]"), "have a rule already"),
        ("[[transition]]\nfrom = \"x\"\nto = []".into(), "transition 1: from: 'x' is declared nowhere"),
        ("[[transition]]\nfrom = \"init\"\nto = [\"x\"]".into(), "transition 1: to: 'x' is declared nowhere"),
        ("[[transition]]\nfrom = \"default\"\nto = [\"init\"]".into(), "from: 'default' may do nothing"),
        ("\0".into(), "x.toml"),
    ];
    for (text, wanted) in cases {
        let said = error(&text);
        assert!(said.starts_with("etc/security/x.toml: ") && said.contains(wanted), "{text}\n{said}");
    }
}

#[test]
fn there_are_limits() {
    let names = |stem: &str, count: usize| (0..count).map(|n| format!("\"{stem}{n}\"")).collect::<Vec<_>>().join(",");
    let subjects = |count| format!("subjects = [{}]", names("s", count));
    assert_eq!(Policy::compile([("a", subjects(254).as_str())]).unwrap().subjects().len(), 256);
    assert!(error(&subjects(255)).contains("'s254' is more than the 256"));
    let types = |count| format!("types = [{}]", names("t", count));
    assert_eq!(Policy::compile([("a", types(255).as_str())]).unwrap().types().len(), 256);
    assert!(error(&types(256)).contains("'t255' is more than the 256"));
    let both = format!("{}\n{}", subjects(254), types(255));
    let said = Policy::compile([("a", both.as_str())]).unwrap_err().0;
    assert!(said.contains(&format!("{MAX_LENGTH} is the most")), "{said}");
}

/// The policy and the manifests that the image has.
#[test]
fn the_images_policy_compiles_and_manifests_use_its_names() {
    let etc = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../filesystem-image/etc");
    let read = |directory: &str| -> Vec<(String, String)> {
        let entries = std::fs::read_dir(etc.join(directory)).unwrap().map(|e| e.unwrap().path());
        let mut files: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
        files.sort();
        files.into_iter().map(|p| (p.display().to_string(), std::fs::read_to_string(&p).unwrap())).collect()
    };
    let files = read("security");
    let policy = Policy::compile(files.iter().map(|(n, t)| (n.as_str(), t.as_str()))).unwrap_or_else(|e| panic!("{e}"));
    assert!(policy.bytes().len() > HEADER);
    for (name, text) in read("init") {
        let manifest = crate::manifest::Manifest::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_ne!(policy.subject(&manifest.label).unwrap_or(0), 0, "{name}: label '{}'", manifest.label);
        if manifest.scheme.is_none() {
            continue;
        }
        for object_type in manifest.object_types.values().chain([&manifest.object_type]) {
            assert!(policy.object_type(object_type).is_some_and(|t| t != 0), "{name}: type '{object_type}'");
            assert!(rights(&policy, &manifest.label, object_type).contains(Rights::MANAGE), "{name}: {object_type}");
        }
        let root = rights(&policy, "init", &manifest.object_type);
        assert!(root.contains(Rights::MANAGE), "{name}: init makes the root");
    }
    for (scheme, _) in crate::server::SCHEMES {
        assert!(rights(&policy, "init", scheme).contains(Rights::MANAGE), "{scheme}");
    }
}
