//! Tables in Markdown.

/// A table. A heading that starts with `>` has its column set to the right, as numbers are.
pub(crate) fn render_table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let names = headings
        .iter()
        .map(|heading| heading.trim_start_matches('>').to_owned());
    let marks = headings.iter().map(|heading| {
        let mark = if heading.starts_with('>') {
            "---:"
        } else {
            "---"
        };
        mark.to_owned()
    });
    let mut lines = vec![
        render_line(&names.collect::<Vec<_>>()),
        render_line(&marks.collect::<Vec<_>>()),
    ];
    lines.extend(rows.iter().map(|row| render_line(row)));
    lines.concat()
}

fn render_line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Of a fact.
pub(crate) const fn yes_or_no(fact: bool) -> &'static str {
    if fact { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::render_table;

    #[test]
    fn numbers_are_set_to_the_right() {
        let text = render_table(&["what", ">ns"], &[vec!["exec".to_owned(), "7".to_owned()]]);
        assert_eq!(text, "| what | ns |\n| --- | ---: |\n| exec | 7 |\n");
    }
}
