//! Plain text in lines of a bounded width, for reports and for the text part of mails.

/// Cuts text to a width, and shows that it was cut.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Writes text after `first`, and further lines after `rest`; words longer than a line are broken.
pub(super) fn wrap(out: &mut String, width: usize, (first, rest): (&str, &str), text: &str) {
    let mut line = first.to_owned();
    let mut used = first.chars().count();
    let mut fresh = true;
    let mut flush = |line: &mut String| {
        out.push_str(line.trim_end());
        out.push('\n');
        rest.clone_into(line);
        rest.chars().count()
    };
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if !fresh && used + 1 + word.len() > width {
            used = flush(&mut line);
            fresh = true;
        }
        if !fresh {
            line.push(' ');
            used += 1;
        }
        while used + word.len() > width {
            let cut = word.split_off(width.saturating_sub(used));
            line.extend(word);
            used = flush(&mut line);
            word = cut;
        }
        used += word.len();
        line.extend(word);
        fresh = false;
    }
    flush(&mut line);
}
