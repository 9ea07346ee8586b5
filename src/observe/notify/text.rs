//! Texts on their way out: nothing in them may act on the program that shows or carries them, and all are bounded.

/// Returns true for characters that reorder or hide what a person reads.
fn deceives(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Cuts a text to a number of characters; a cut is shown.
pub(super) fn bounded(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Returns a text as one line that is safe in a header, a log and a terminal.
pub(super) fn line(text: &str, chars_max: usize) -> String {
    let harmless =
        text.chars().take(chars_max.saturating_mul(4)).map(|c| if c.is_control() || deceives(c) { ' ' } else { c });
    let harmless: String = harmless.collect();
    let words: Vec<&str> = harmless.split_whitespace().collect();
    bounded(&words.join(" "), chars_max)
}

/// Returns a text of many lines without characters that act on who shows it; line breaks and tabs stay.
pub(super) fn body(text: &str) -> String {
    let replaced = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() || deceives(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(replaced).collect()
}

/// Returns the serde name of a plain enum value.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(line("crash\r\nBcc: x@y\0\u{202e}gnp.exe\u{2028}end", 100), "crash Bcc: x@y gnp.exe end");
        assert_eq!(line("😀 öl", 100), "😀 öl");
        assert_eq!(line(&"x".repeat(1 << 20), 10), format!("{}…", "x".repeat(9)));
    }

    #[test]
    fn a_body_keeps_its_lines_and_nothing_that_acts() {
        assert_eq!(body("a\r\nb\n\tc\0\u{1b}[2J\rd\u{202e}"), "a\nb\n\tc\u{fffd}\u{fffd}[2J\u{fffd}d\u{fffd}");
    }

    #[test]
    fn a_cut_is_shown_and_never_inside_a_character() {
        assert_eq!(bounded("ääää", 3), "ää…");
        assert_eq!(bounded("äää", 3), "äää");
    }
}
