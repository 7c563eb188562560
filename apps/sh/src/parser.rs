//! From tokens to a list of commands (POSIX XCU 2.9, without pipelines and
//! compound commands).

use crate::lexer::{tokens, Redirect, SyntaxError, Token, Word};
use alloc::string::ToString;
use alloc::vec::Vec;

/// A redirection of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirection {
    /// The descriptor redirected.
    pub descriptor: u8,
    /// How.
    pub how: Redirect,
    /// The file, or the descriptor's number.
    pub target: Word,
}

/// A simple command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Name and arguments.
    pub words: Vec<Word>,
    /// In the order written.
    pub redirections: Vec<Redirection>,
}

/// What decides whether the next command of a chain runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// The first of its chain.
    First,
    /// After `&&`.
    And,
    /// After `||`.
    Or,
}

/// Commands joined by `&&` and `||`, in the foreground or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The commands, each with what joins it to the one before.
    pub commands: Vec<(Join, Command)>,
    /// Whether it ended with `&`.
    pub background: bool,
}

/// Parses a whole text.
pub fn parse(text: &str) -> Result<Vec<Chain>, SyntaxError> {
    let mut chains = Vec::new();
    let mut chain = Chain { commands: Vec::new(), background: false };
    let mut command = Command::default();
    let mut join = Join::First;
    let mut all = tokens(text)?.into_iter().peekable();
    while let Some(token) = all.next() {
        match token {
            Token::Word(word) => command.words.push(word),
            Token::Redirect(descriptor, how) => match all.next() {
                Some(Token::Word(target)) => command.redirections.push(Redirection { descriptor, how, target }),
                _ => return Err(SyntaxError::Unexpected("redirection".to_string())),
            },
            Token::And | Token::Or => {
                end_command(&mut chain, &mut command, join, true)?;
                join = if token == Token::And { Join::And } else { Join::Or };
                // A newline may follow `&&` and `||`.
                while all.next_if_eq(&Token::NewLine).is_some() {}
                if all.peek().is_none() {
                    return Err(SyntaxError::Unfinished('&'));
                }
            }
            Token::Sequence | Token::NewLine | Token::Background => {
                let background = token == Token::Background;
                end_command(&mut chain, &mut command, join, background || join != Join::First)?;
                join = Join::First;
                if !chain.commands.is_empty() {
                    chain.background = background;
                    chains.push(core::mem::replace(&mut chain, Chain { commands: Vec::new(), background: false }));
                }
            }
        }
    }
    end_command(&mut chain, &mut command, join, join != Join::First)?;
    if !chain.commands.is_empty() {
        chains.push(chain);
    }
    Ok(chains)
}

fn end_command(chain: &mut Chain, command: &mut Command, join: Join, needed: bool) -> Result<(), SyntaxError> {
    let command = core::mem::take(command);
    if command != Command::default() {
        chain.commands.push((join, command));
        Ok(())
    } else if needed {
        Err(SyntaxError::Unexpected("an empty command".to_string()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, Join, SyntaxError};

    #[test]
    fn chains_keep_their_joins_and_their_ground() {
        let all = parse("a && b || c; d & e\nf").unwrap();
        assert_eq!(all.len(), 4);
        let joins: Vec<Join> = all[0].commands.iter().map(|c| c.0).collect();
        assert_eq!(joins, [Join::First, Join::And, Join::Or]);
        assert_eq!(all.iter().map(|c| c.background).collect::<Vec<_>>(), [false, true, false, false]);
    }

    #[test]
    fn empty_lines_and_trailing_separators_are_nothing() {
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse("\n;\n# c").unwrap(), []);
        assert_eq!(parse("a;\n").unwrap().len(), 1);
    }

    #[test]
    fn operators_without_commands_are_errors() {
        for text in ["&& a", "a && ; b", "& a", "a >", "a || && b"] {
            assert!(matches!(parse(text), Err(SyntaxError::Unexpected(_) | SyntaxError::Unfinished(_))), "{text}");
        }
        assert_eq!(parse("a &&"), Err(SyntaxError::Unfinished('&')));
    }
}
