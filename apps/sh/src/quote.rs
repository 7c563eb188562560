//! From a parsed chain back to text that means the same: for `&`, which runs
//! it in another shell.

use crate::lexer::{Piece, Redirect, Word};
use crate::parser::{Chain, Command, Join};
use alloc::string::String;

/// A string as one word that stands for itself.
pub fn quoted(text: &str) -> String {
    ["'", &text.replace('\'', "'\\''"), "'"].concat()
}

fn word(word: &Word, out: &mut String) {
    for piece in word {
        match piece {
            Piece::Text { text, quoted: true } => out.push_str(&quoted(text)),
            // What was not quoted holds no character that needs it.
            Piece::Text { text, quoted: false } => out.push_str(text),
            Piece::Parameter { name, quoted: true } => out.push_str(&["\"${", name, "}\""].concat()),
            Piece::Parameter { name, quoted: false } => out.push_str(&["${", name, "}"].concat()),
        }
    }
}

fn command(command: &Command, out: &mut String) {
    for (i, one) in command.words.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        word(one, out);
    }
    for redirection in &command.redirections {
        let how = match redirection.how {
            Redirect::Read => "<",
            Redirect::Write => ">",
            Redirect::Append => ">>",
            Redirect::Duplicate => ">&",
        };
        out.push(' ');
        out.push(char::from(redirection.descriptor.wrapping_add(b'0')));
        out.push_str(how);
        word(&redirection.target, out);
    }
}

/// The chain's text, without a `&` at its end.
pub fn chain(chain: &Chain) -> String {
    let mut out = String::new();
    for (join, one) in &chain.commands {
        out.push_str(match join {
            Join::First => "",
            Join::And => " && ",
            Join::Or => " || ",
        });
        command(one, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{chain, quoted};
    use crate::expand::{arguments, single, Environment};
    use crate::parser::parse;

    struct Plain;

    impl Environment for Plain {
        fn parameter(&self, name: &str) -> Option<String> {
            Some(["<", name, " >"].concat())
        }
        fn positional(&self) -> Vec<String> {
            vec!["1 1".into(), "*".into()]
        }
        fn names(&mut self, _: &str) -> Vec<String> {
            vec!["x".into(), "y".into()]
        }
    }

    /// What a text means: its joins, arguments and redirections.
    fn meaning(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        for chain in parse(text).unwrap() {
            for (join, command) in &chain.commands {
                let redirections: Vec<String> = command
                    .redirections
                    .iter()
                    .map(|r| format!("{}{:?}{}", r.descriptor, r.how, single(&r.target, &mut Plain)))
                    .collect();
                out.push(format!("{join:?} {:?} {redirections:?}", arguments(&command.words, &mut Plain)));
            }
        }
        out
    }

    #[test]
    fn text_made_of_a_chain_means_the_same() {
        for text in [
            "echo a b",
            "echo 'it'\\''s' \"$x  y\" $z ${HOME}/bin",
            "a && b || c >out 2>&1 <'in put'",
            "echo * '*' \\* \"?\"",
            "f \"$@\" $@ \"$*\" a\"$@\"b '' \"\"",
            "A=1 B='2 3' prog >>log",
            "echo 'a#b' \\#c d#e \"&&\" \\; '\n'",
        ] {
            let parsed = parse(text).unwrap();
            let again = chain(&parsed[0]);
            assert_eq!(meaning(&again), meaning(text), "{text} became {again}");
        }
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
