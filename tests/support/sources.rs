//! Reads Rust sources as far as the layering test needs it: the paths that a file names, without comments and literals.
//! It must not judge them.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file; `file` starts from the root of the crate.
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) text: String,
}

impl Source {
    /// Returns the module that the file is, as in `engine::retry`.
    pub(crate) fn module(&self) -> String {
        let path = self.file.trim_start_matches("src/").trim_end_matches(".rs");
        path.strip_suffix("/mod").unwrap_or(path).replace('/', "::")
    }
}

/// A path that stands in a file: `crate::` and what is ours, resolved, or else as it is written.
#[derive(Debug, PartialEq)]
pub(crate) struct Mention {
    pub(crate) line: usize,
    pub(crate) name: String,
}

/// Returns all Rust files below a directory of the crate, in order.
pub(crate) fn tree(dir: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join(dir), &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
        let file = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        Source { file, text }
    };
    files.into_iter().map(read).collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("cannot list {}: {e}", dir.display())) {
        let path = entry.expect("a directory that can be listed has entries that can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Returns the paths that a file of `module` names.
pub(crate) fn mentions(text: &str, module: &str) -> Vec<Mention> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    // What each open brace belongs to: the name of an inline module, or nothing of interest.
    let mut braces: Vec<Option<&str>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let next = tokens.get(at + 1).map(|(_, token)| token);
        let mut raw = Vec::new();
        let start = match (&tokens[at].1, next) {
            (Token::Word(word), _) if word == "use" => Some(at + 1),
            (Token::Word(_), Some(Token::Colons)) => Some(at),
            // What follows a generic type is a name in that type and no path of its own.
            (Token::Colons, Some(Token::Word(_))) if at > 0 && tokens[at - 1].1 == Token::Sign('>') => {
                at += 1;
                None
            }
            (Token::Colons, Some(Token::Word(_))) => Some(at + 1),
            (Token::Sign('{'), _) => {
                braces.push(opens_module(&tokens[..at]));
                None
            }
            (Token::Sign('}'), _) => {
                braces.pop();
                None
            }
            _ => None,
        };
        let Some(start) = start else {
            at += 1;
            continue;
        };
        at = read_tree(&tokens, start, &mut Vec::new(), &mut raw).max(at + 1);
        let inline: Vec<_> = braces.iter().flatten().copied().collect();
        found.extend(raw.into_iter().map(|(line, words)| Mention { line, name: resolve(&words, module, &inline) }));
    }
    found
}

/// Returns the name of the inline module that the brace after these tokens opens.
fn opens_module(before: &[(usize, Token)]) -> Option<&str> {
    match before {
        [.., (_, Token::Word(word)), (_, Token::Word(name))] if word == "mod" => Some(name),
        _ => None,
    }
}

/// Reads a path, or a tree of them in braces, from `at`; returns where it ends.
fn read_tree(
    tokens: &[(usize, Token)],
    mut at: usize,
    words: &mut Vec<String>,
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let depth = words.len();
    let mut line = tokens.get(at).map_or(0, |(line, _)| *line);
    while let Some((here, token)) = tokens.get(at) {
        line = *here;
        match token {
            Token::Word(word) => words.push(word.clone()),
            Token::Colons => {}
            Token::Sign('{') => {
                at += 1;
                while tokens.get(at).is_some_and(|(_, token)| *token != Token::Sign('}')) {
                    at = read_tree(tokens, at, words, found).max(at + 1);
                    let mut rest = tokens[at.min(tokens.len())..].iter();
                    at += rest.position(|(_, t)| matches!(t, Token::Sign(',' | '}'))).unwrap_or(tokens.len());
                    at += usize::from(tokens.get(at).is_some_and(|(_, token)| *token == Token::Sign(',')));
                }
                words.truncate(depth);
                return at + 1;
            }
            Token::Sign(_) => break,
        }
        at += 1;
        // Two words in a row are the end of a path and a keyword, as in `redb as store`.
        if matches!((token, tokens.get(at)), (Token::Word(_), Some((_, Token::Word(_) | Token::Sign(_)))) | (_, None)) {
            break;
        }
    }
    if words.last().is_some_and(|word| word == "self") && words.len() > 1 {
        words.pop();
    }
    if !words.is_empty() {
        found.push((line, words.clone()));
    }
    words.truncate(depth);
    at
}

/// Returns the full name of a path in a module and the inline modules within it.
fn resolve(words: &[String], module: &str, inline: &[&str]) -> String {
    let mut full: Vec<&str> = module.split("::").chain(inline.iter().copied()).collect();
    let mut rest = words.iter().map(String::as_str).peekable();
    match rest.peek() {
        Some(&"crate") => {
            full.clear();
            rest.next();
        }
        Some(&"self") => {
            rest.next();
        }
        Some(&"super") => {
            while rest.next_if(|word| *word == "super").is_some() {
                full.pop();
            }
        }
        _ => return words.join("::"),
    }
    let mut name = "crate".to_owned();
    for word in full.into_iter().chain(rest) {
        name.push_str("::");
        name.push_str(word);
    }
    name
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Colons,
    Sign(char),
}

/// Returns words, `::` and other signs with their lines; comments, strings and characters are left out.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut rest = text;
    let mut line = 1;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        if rest.starts_with("//") {
            length = rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            length = comment(rest);
        } else if let Some(literal) = literal(rest) {
            length = literal;
        } else if first.is_alphanumeric() || first == '_' {
            length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push((line, Token::Word(rest[..length].to_owned())));
        } else if rest.starts_with("::") {
            length = 2;
            found.push((line, Token::Colons));
        } else if rest.starts_with("->") || rest.starts_with("=>") {
            // An arrow closes no generic type.
            length = 2;
            found.push((line, Token::Sign(first)));
        } else if !first.is_whitespace() {
            found.push((line, Token::Sign(first)));
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// Returns the length of a block comment, with those within it.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Returns the length of the string, raw string or character that the text starts with.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with(['"', '\'']))
    });
    let prefix = prefix.unwrap_or_default();
    let body = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.find('"')?;
        let end = format!("\"{}", &body[..hashes]);
        let content = hashes + 1;
        let length = body[content..].find(&end).map_or(body.len(), |at| content + at + end.len());
        return Some(prefix.len() + length);
    }
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut chars = body.char_indices().skip(1);
    let second = chars.clone().next()?.1;
    // A quote that neither an escape nor a quote two further on makes a character is a lifetime.
    if quote == '\'' && second != '\\' && chars.clone().nth(1)?.1 != '\'' {
        return None;
    }
    let mut escaped = false;
    let end = chars.find(|(_, c)| {
        let closes = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    Some(prefix.len() + end.map_or(body.len(), |(at, _)| at + 1))
}
