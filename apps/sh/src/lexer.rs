//! Splits a command line into words and operators.
//!
//! A word keeps track of what was quoted, so that expansion knows what to leave alone (POSIX XCU
//! 2.2, 2.3). Comments start at an unquoted `#` at the start of a word.

use alloc::string::String;
use alloc::vec::Vec;

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that stands for itself; `quoted` text is never split and makes a word even when empty.
    Text {
        /// The characters.
        text: String,
        /// Whether they were quoted.
        quoted: bool,
    },
    /// `$name` or `${name}`.
    Parameter {
        /// The name: letters, digits, `_`, or one of `? # @ * $ ! 0`–`9`.
        name: String,
        /// Whether it stood in double quotes.
        quoted: bool,
    },
}

/// A word before expansion.
pub type Word = Vec<Piece>;

/// Where a redirection leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// `<`
    Read,
    /// `>`
    Write,
    /// `>>`
    Append,
    /// `>&`
    Duplicate,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A word.
    Word(Word),
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;`
    Sequence,
    /// The end of a line.
    NewLine,
    /// `&`
    Background,
    /// A redirection of a descriptor.
    Redirect(u8, Redirect),
}

/// Why a line can't be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// A quote or a `${` is open at the end: more input could close it.
    Unfinished(char),
    /// Something that stands where it can't.
    Unexpected(String),
    /// POSIX has it; this shell does not yet.
    NotYet(&'static str),
}

impl core::fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SyntaxError::Unfinished(c) => write!(f, "syntax error: unfinished {c}"),
            SyntaxError::Unexpected(what) => write!(f, "syntax error near {what}"),
            SyntaxError::NotYet(what) => write!(f, "{what} not supported yet"),
        }
    }
}

struct Lexer<'a> {
    rest: core::iter::Peekable<core::str::Chars<'a>>,
    tokens: Vec<Token>,
    word: Word,
    in_word: bool,
}

/// Splits `line` into tokens.
pub fn tokens(line: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut lexer = Lexer { rest: line.chars().peekable(), tokens: Vec::new(), word: Vec::new(), in_word: false };
    lexer.run()?;
    Ok(lexer.tokens)
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), SyntaxError> {
        while let Some(c) = self.rest.next() {
            match c {
                ' ' | '\t' | '\r' => self.end_word(),
                '\n' => self.operator(Token::NewLine),
                ';' => self.operator(Token::Sequence),
                '#' if !self.in_word => while self.rest.next_if(|&c| c != '\n').is_some() {},
                '&' if self.rest.next_if_eq(&'&').is_some() => self.operator(Token::And),
                '&' => self.operator(Token::Background),
                '|' if self.rest.next_if_eq(&'|').is_some() => self.operator(Token::Or),
                '|' => return Err(SyntaxError::NotYet("pipelines are")),
                '(' | ')' => return Err(SyntaxError::NotYet("subshells and functions are")),
                '`' => return Err(SyntaxError::NotYet("command substitution is")),
                '<' => self.redirect(Redirect::Read)?,
                '>' if self.rest.next_if_eq(&'>').is_some() => self.redirect(Redirect::Append)?,
                '>' if self.rest.next_if_eq(&'&').is_some() => self.redirect(Redirect::Duplicate)?,
                '>' => self.redirect(Redirect::Write)?,
                '\'' => self.single_quoted()?,
                '"' => self.double_quoted()?,
                '\\' => match self.rest.next() {
                    Some('\n') => {}
                    Some(c) => self.push(c, true),
                    None => return Err(SyntaxError::Unfinished('\\')),
                },
                '$' => self.parameter(false)?,
                c => self.push(c, false),
            }
        }
        self.end_word();
        Ok(())
    }

    fn push(&mut self, c: char, is_quoted: bool) {
        self.in_word = true;
        match self.word.last_mut() {
            Some(Piece::Text { text, quoted }) if *quoted == is_quoted => text.push(c),
            _ => self.word.push(Piece::Text { text: String::from(c), quoted: is_quoted }),
        }
    }

    fn end_word(&mut self) {
        if self.in_word {
            self.tokens.push(Token::Word(core::mem::take(&mut self.word)));
            self.in_word = false;
        }
    }

    fn operator(&mut self, token: Token) {
        self.end_word();
        self.tokens.push(token);
    }

    /// A redirection; a word of one unquoted digit right before it names the descriptor.
    fn redirect(&mut self, how: Redirect) -> Result<(), SyntaxError> {
        if how == Redirect::Read && self.rest.peek() == Some(&'<') {
            return Err(SyntaxError::NotYet("here-documents are"));
        }
        let named = match self.word.as_slice() {
            [Piece::Text { text, quoted: false }] if text.len() == 1 => text.bytes().next().filter(u8::is_ascii_digit),
            _ => None,
        };
        let descriptor = match named {
            Some(digit) => {
                self.word.clear();
                self.in_word = false;
                digit.wrapping_sub(b'0')
            }
            None => u8::from(how != Redirect::Read),
        };
        self.operator(Token::Redirect(descriptor, how));
        Ok(())
    }

    fn quoted_text(&mut self, text: String) {
        self.in_word = true;
        self.word.push(Piece::Text { text, quoted: true });
    }

    fn single_quoted(&mut self) -> Result<(), SyntaxError> {
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('\'') => break,
                Some(c) => text.push(c),
                None => return Err(SyntaxError::Unfinished('\'')),
            }
        }
        self.quoted_text(text);
        Ok(())
    }

    fn double_quoted(&mut self) -> Result<(), SyntaxError> {
        // An empty quoted piece, so that "" is a word; text that follows is appended to it.
        self.quoted_text(String::new());
        loop {
            match self.rest.next() {
                Some('"') => return Ok(()),
                Some('$') => self.parameter(true)?,
                Some('`') => return Err(SyntaxError::NotYet("command substitution is")),
                Some('\\') => match self.rest.next() {
                    Some('\n') => {}
                    Some(c @ ('$' | '`' | '"' | '\\')) => self.push(c, true),
                    Some(c) => {
                        self.push('\\', true);
                        self.push(c, true);
                    }
                    None => return Err(SyntaxError::Unfinished('"')),
                },
                Some(c) => self.push(c, true),
                None => return Err(SyntaxError::Unfinished('"')),
            }
        }
    }

    fn parameter(&mut self, quoted: bool) -> Result<(), SyntaxError> {
        let mut name = String::new();
        match self.rest.peek().copied() {
            Some('{') => {
                self.rest.next();
                loop {
                    match self.rest.next() {
                        Some('}') => break,
                        Some(c) => name.push(c),
                        None => return Err(SyntaxError::Unfinished('{')),
                    }
                }
                let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if name.is_empty() || !(plain || matches!(name.as_str(), "?" | "#" | "@" | "*" | "$" | "!")) {
                    return Err(SyntaxError::NotYet("${name…} with an operator is"));
                }
            }
            Some('(') => return Err(SyntaxError::NotYet("command substitution is")),
            Some(c @ ('?' | '#' | '@' | '*' | '$' | '!' | '0'..='9')) => {
                self.rest.next();
                name.push(c);
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
            _ => {
                self.push('$', quoted);
                return Ok(());
            }
        }
        self.in_word = true;
        self.word.push(Piece::Parameter { name, quoted });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{tokens, Piece, Redirect, SyntaxError, Token};

    fn text(t: &str, quoted: bool) -> Piece {
        Piece::Text { text: t.into(), quoted }
    }

    #[test]
    fn quotes_join_into_one_word_and_keep_blanks() {
        assert_eq!(
            tokens(r#"echo 'a  b'c"d e" \ f"#).unwrap(),
            [
                Token::Word(vec![text("echo", false)]),
                Token::Word(vec![text("a  b", true), text("c", false), text("d e", true)]),
                Token::Word(vec![text(" ", true), text("f", false)]),
            ]
        );
    }

    #[test]
    fn empty_quotes_are_a_word() {
        assert_eq!(tokens("'' \"\"").unwrap().len(), 2);
    }

    #[test]
    fn operators_need_no_blanks_and_a_digit_names_a_descriptor() {
        let all = tokens("a&&b||c;d&e>f 2>>g<h 2>&1").unwrap();
        let operators: Vec<&Token> = all.iter().filter(|t| !matches!(t, Token::Word(_))).collect();
        assert_eq!(
            operators,
            [
                &Token::And,
                &Token::Or,
                &Token::Sequence,
                &Token::Background,
                &Token::Redirect(1, Redirect::Write),
                &Token::Redirect(2, Redirect::Append),
                &Token::Redirect(0, Redirect::Read),
                &Token::Redirect(2, Redirect::Duplicate),
            ]
        );
    }

    #[test]
    fn comments_end_at_the_line_and_only_start_words() {
        assert_eq!(tokens("a#b # c\nd").unwrap().len(), 3);
    }

    #[test]
    fn what_is_open_at_the_end_is_unfinished() {
        for (line, c) in [("'a", '\''), ("\"a", '"'), ("${a", '{'), ("a\\", '\\')] {
            assert_eq!(tokens(line), Err(SyntaxError::Unfinished(c)), "{line}");
        }
    }

    #[test]
    fn what_is_not_there_yet_says_so() {
        for line in ["a | b", "$(a)", "`a`", "(a)", "${a:-b}", "a << b"] {
            assert!(matches!(tokens(line), Err(SyntaxError::NotYet(_))), "{line}");
        }
    }
}
