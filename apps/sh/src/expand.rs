//! From words to arguments: parameters, field splitting, quote removal,
//! pathname patterns.
//!
//! POSIX XCU 2.6 for what there is: `$name`, `$?`, `$#`, `$@`, `$*`, `$0`–`$9`, `$$`, `$!`; results
//! outside quotes are split at blanks; `*`, `?` and `[…]` outside quotes match names.

use crate::lexer::{Piece, Word};
use crate::pattern;
use alloc::string::String;
use alloc::vec::Vec;

/// Where parameters and names come from.
pub trait Environment {
    /// The value of a parameter other than `@` and `*`.
    fn parameter(&self, name: &str) -> Option<String>;
    /// The positional parameters from 1 on.
    fn positional(&self) -> Vec<String>;
    /// The names in a directory, unsorted; empty where it can't be read.
    fn names(&mut self, directory: &str) -> Vec<String>;
}

#[derive(Default)]
struct Field {
    text: String,
    /// Pattern characters in `text` that were quoted, by byte offset.
    literal: Vec<usize>,
    has_pattern: bool,
    present: bool,
}

impl Field {
    fn push(&mut self, text: &str, quoted: bool) {
        for c in text.chars() {
            if matches!(c, '*' | '?' | '[') {
                if quoted {
                    self.literal.push(self.text.len());
                } else {
                    self.has_pattern = true;
                }
            }
            self.text.push(c);
        }
        self.present |= quoted || !text.is_empty();
    }
}

/// The arguments that words make.
pub fn arguments(words: &[Word], environment: &mut dyn Environment) -> Vec<String> {
    let mut out = Vec::new();
    for word in words {
        for field in fields(word, environment) {
            expand_names(field, environment, &mut out);
        }
    }
    out
}

/// The one string that a redirection's target or an assignment makes: no splitting, no patterns.
pub fn single(word: &Word, environment: &mut dyn Environment) -> String {
    let mut out = String::new();
    for piece in word {
        match piece {
            Piece::Text { text, .. } => out.push_str(text),
            Piece::Parameter { name, .. } if name == "@" || name == "*" => {
                out.push_str(&environment.positional().join(" "));
            }
            Piece::Parameter { name, .. } => out.push_str(&environment.parameter(name).unwrap_or_default()),
        }
    }
    out
}

fn fields(word: &Word, environment: &dyn Environment) -> Vec<Field> {
    let mut done = Vec::new();
    let mut field = Field::default();
    // A quoted "$@" of nothing makes no field, although it is quoted (POSIX 2.5.2).
    let only_at = word.iter().all(|p| match p {
        Piece::Parameter { name, quoted } => *quoted && name == "@",
        Piece::Text { text, .. } => text.is_empty(),
    }) && word.iter().any(|p| matches!(p, Piece::Parameter { .. }));
    if only_at && environment.positional().is_empty() {
        return done;
    }
    for piece in word {
        match piece {
            Piece::Text { text, quoted } => field.push(text, *quoted),
            Piece::Parameter { name, quoted } if name == "@" || (name == "*" && !quoted) => {
                for (i, value) in environment.positional().iter().enumerate() {
                    if i > 0 {
                        done.push(core::mem::take(&mut field));
                    }
                    field.push(value, *quoted);
                }
            }
            Piece::Parameter { name, quoted: true } if name == "*" => {
                field.push(&environment.positional().join(" "), true);
            }
            Piece::Parameter { name, quoted } => {
                let value = environment.parameter(name).unwrap_or_default();
                if *quoted {
                    field.push(&value, true);
                    continue;
                }
                let blank = |c: char| matches!(c, ' ' | '\t' | '\n');
                if value.starts_with(blank) && field.present {
                    done.push(core::mem::take(&mut field));
                }
                for (i, part) in value.split(blank).filter(|p| !p.is_empty()).enumerate() {
                    if i > 0 {
                        done.push(core::mem::take(&mut field));
                    }
                    field.push(part, false);
                }
                if value.ends_with(blank) && field.present {
                    done.push(core::mem::take(&mut field));
                }
            }
        }
    }
    done.push(field);
    done.retain(|f| f.present);
    done
}

fn expand_names(field: Field, environment: &mut dyn Environment, out: &mut Vec<String>) {
    let split = field.text.rfind('/').map_or(0, |i| i.saturating_add(1));
    let (directory, last) = field.text.split_at(split);
    // Patterns in the last component only; those in directories stand for themselves.
    if !field.has_pattern || last.is_empty() {
        out.push(field.text);
        return;
    }
    let literal: Vec<usize> = field.literal.iter().filter_map(|i| i.checked_sub(split)).collect();
    let mut found: Vec<String> = environment
        .names(if directory.is_empty() { "." } else { directory })
        .into_iter()
        .filter(|name| (last.starts_with('.') || !name.starts_with('.')) && pattern::matches(last, &literal, name))
        .collect();
    if found.is_empty() {
        out.push(field.text);
        return;
    }
    found.sort();
    out.extend(found.into_iter().map(|name| [directory, &name].concat()));
}

#[cfg(test)]
mod tests {
    use super::{arguments, Environment};
    use crate::parser::parse;

    struct Fake(Vec<&'static str>);

    impl Environment for Fake {
        fn parameter(&self, name: &str) -> Option<String> {
            match name {
                "?" => Some("3".into()),
                "AB" => Some(" x  y ".into()),
                "STAR" => Some("*".into()),
                _ => None,
            }
        }
        fn positional(&self) -> Vec<String> {
            self.0.iter().map(|s| s.to_string()).collect()
        }
        fn names(&mut self, directory: &str) -> Vec<String> {
            match directory {
                "." => vec!["b.txt".into(), "a.txt".into(), ".hidden".into(), "c".into()],
                "d/" => vec!["one".into()],
                _ => vec![],
            }
        }
    }

    fn args(line: &str, positional: &[&'static str]) -> Vec<String> {
        arguments(&parse(line).unwrap()[0].commands[0].1.words, &mut Fake(positional.to_vec()))
    }

    #[test]
    fn parameters_split_outside_quotes_only() {
        assert_eq!(args("e $AB \"$AB\" $? $NONE \"$NONE\"", &[]), ["e", "x", "y", " x  y ", "3", ""]);
        assert_eq!(args("e a$AB''b", &[]), ["e", "a", "x", "y", "b"]);
    }

    #[test]
    fn at_in_quotes_keeps_each_argument() {
        assert_eq!(args("\"$@\"", &["a b", "", "*"]), ["a b", "", "*"]);
        assert_eq!(args("x \"$@\"", &[]), ["x"]);
        assert_eq!(args("x a\"$@\"b", &["1", "2"]), ["x", "a1", "2b"]);
        assert_eq!(args("x \"$*\"", &["1", "2"]), ["x", "1 2"]);
    }

    #[test]
    fn patterns_match_names_and_stand_for_themselves_otherwise() {
        assert_eq!(args("e *.txt", &[]), ["e", "a.txt", "b.txt"]);
        assert_eq!(args("e '*'.txt \\*.txt", &[]), ["e", "*.txt", "*.txt"]);
        assert_eq!(args("e d/o?e z*", &[]), ["e", "d/one", "z*"]);
        assert_eq!(args("e .h*", &[]), ["e", ".hidden"]);
    }
}
