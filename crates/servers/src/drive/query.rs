//! The part of Drive's search language that is used, and nothing else.

use super::Stored;

#[derive(Debug)]
pub enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Name(String),
    Parent(String),
    Trashed(bool),
}

impl Query {
    /// `None` for what Drive would refuse, or what is not known here.
    pub fn parse(text: &str) -> Option<Self> {
        let tokens = tokens(text)?;
        let mut rest = &tokens[..];
        let query = all(&mut rest)?;
        rest.is_empty().then_some(query)
    }

    /// The folders that it is about.
    pub fn parents(&self) -> Vec<&str> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::parents).collect(),
            Self::Parent(id) => vec![id],
            Self::Name(_) | Self::Trashed(_) => Vec::new(),
        }
    }

    pub fn matches(&self, file: &Stored, is_trashed: bool) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(file, is_trashed)),
            // As Drive has been seen to: what is in some of the folders, and nothing tells of the others.
            Self::Any(parts) => parts.first().is_some_and(|part| part.matches(file, is_trashed)),
            // Drive compares names without regard to case.
            Self::Name(name) => file.name.eq_ignore_ascii_case(name),
            Self::Parent(id) => file.parent == *id,
            Self::Trashed(trashed) => *trashed == is_trashed,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            ' ' => {}
            '(' | ')' | '=' => tokens.push(Token::Word(first.to_string())),
            '\'' => {
                let mut quoted = String::new();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        '\\' => quoted.push(rest.next()?),
                        other => quoted.push(other),
                    }
                }
                tokens.push(Token::Text(quoted));
            }
            'a'..='z' | 'A'..='Z' => {
                let mut word = first.to_string();
                while let Some(next) = rest.next_if(char::is_ascii_alphabetic) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            _ => return None,
        }
    }
    Some(tokens)
}

fn take(rest: &mut &[Token], word: &str) -> bool {
    let Some((Token::Word(first), after)) = rest.split_first() else { return false };
    if first == word {
        *rest = after;
    }
    first == word
}

fn all(rest: &mut &[Token]) -> Option<Query> {
    let mut parts = vec![part(rest)?];
    while take(rest, "and") {
        parts.push(part(rest)?);
    }
    Some(Query::All(parts))
}

fn part(rest: &mut &[Token]) -> Option<Query> {
    if !take(rest, "(") {
        return term(rest);
    }
    let mut parts = vec![term(rest)?];
    while take(rest, "or") {
        parts.push(term(rest)?);
    }
    take(rest, ")").then_some(Query::Any(parts))
}

fn term(rest: &mut &[Token]) -> Option<Query> {
    if take(rest, "name") {
        return if take(rest, "=") { Some(Query::Name(text(rest)?)) } else { None };
    }
    if take(rest, "trashed") {
        return (take(rest, "=") && take(rest, "false")).then_some(Query::Trashed(false));
    }
    let id = text(rest)?;
    (take(rest, "in") && take(rest, "parents")).then_some(Query::Parent(id))
}

fn text(rest: &mut &[Token]) -> Option<String> {
    match rest.split_first()? {
        (Token::Text(text), after) => {
            let text = text.clone();
            *rest = after;
            Some(text)
        }
        _ => None,
    }
}

#[test]
fn unknown_fields_are_refused() {
    assert!(Query::parse(r"name = 'a\'b' and ('x' in parents or 'y' in parents)").is_some());
    for text in ["title = 'a'", "name = a", "name = 'a", "name = 'a' and", "'x' in owners", ""] {
        assert!(Query::parse(text).is_none(), "{text}");
    }
}
