//! Whether the links of all Markdown pages lead somewhere: to a file of the repository, and there to a heading. Links to
//! other hosts are not followed: the answer would be another each day. And whether the files are there that the pages name as code.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::files;

/// What following every link came to.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) pages: usize,
    pub(super) followed: usize,
    /// A sentence for each that leads nowhere.
    pub(super) broken: Vec<String>,
}

/// Where a page's links lead, and where links can lead to in it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    targets: Vec<String>,
    anchors: Vec<String>,
    /// Files of the repository, as code.
    files: Vec<String>,
}

/// Folders of the repository, a path from which is one of a file.
const FOLDERS: [&str; 9] = [
    "agent/",
    "agent-common/",
    "agent-core/",
    "agent-ebpf/",
    "deploy/",
    "findings/",
    "fuzz/",
    "tests/",
    "xtask/",
];

/// Pages that tell of former times.
const HISTORY: [&str; 2] = ["CHANGELOG.md", "docs/decisions"];

/// Follows the links of every page below `root`.
pub(super) fn check(root: &Path) -> Result<Links> {
    let mut pages = BTreeMap::new();
    for path in files::find_files(root, Path::new(""), "md")? {
        let text = std::fs::read_to_string(root.join(&path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        pages.insert(path, Page::parse(&text));
    }
    let mut links = Links {
        pages: pages.len(),
        ..Links::default()
    };
    for (path, page) in &pages {
        for target in page.targets.iter().filter(|target| is_ours(target)) {
            links.followed += 1;
            if let Err(reason) = follow(root, &pages, path, target) {
                let path = path.display();
                links
                    .broken
                    .push(format!("{path}: the link `{target}` {reason}"));
            }
        }
        if HISTORY.iter().any(|page| path.starts_with(page)) {
            continue;
        }
        for file in page.files.iter().filter(|file| !root.join(file).exists()) {
            let path = path.display();
            links
                .broken
                .push(format!("{path}: there is no file `{file}`"));
        }
    }
    Ok(links)
}

fn is_ours(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:")
}

/// Whether a piece of code is the path of a file. One with a place for a name is none.
fn is_file(code: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    let has_place = |part: &str| part.split('.').next().is_some_and(|name| name == "NAME");
    FOLDERS.iter().any(|folder| code.starts_with(folder))
        && code.chars().all(is_plain)
        && !code.split('/').any(has_place)
}

fn follow(
    root: &Path,
    pages: &BTreeMap<PathBuf, Page>,
    from: &Path,
    target: &str,
) -> Result<(), String> {
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let path = if file.is_empty() {
        from.to_owned()
    } else {
        resolve(from, file).ok_or("leads out of the repository")?
    };
    if !root.join(&path).exists() {
        return Err(format!("leads to {}, which is not there", path.display()));
    }
    match (pages.get(&path), anchor) {
        (Some(page), Some(anchor)) if !page.anchors.iter().any(|known| known == anchor) => Err(
            format!("leads to a heading that {} does not have", path.display()),
        ),
        _ => Ok(()),
    }
}

/// The path from the root, of a path from the folder that `from` is in.
fn resolve(from: &Path, file: &str) -> Option<PathBuf> {
    let mut path = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(file).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

impl Page {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of Markdown's many events these few matter here"
    )]
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.targets.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    if let Some(heading) = heading.take() {
                        page.add_anchor(&heading);
                    }
                }
                Event::Text(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    if is_file(&code) {
                        page.files.push(code.into_string());
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// The name that GitHub and GitLab give a heading; the second of the same name gets `-1`, and so on.
    fn add_anchor(&mut self, heading: &str) {
        let base: String = heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let mut anchor = base.clone();
        let mut number = 0;
        while self.anchors.contains(&anchor) {
            number += 1;
            anchor = format!("{base}-{number}");
        }
        self.anchors.push(anchor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache;

    #[test]
    fn headings_get_the_names_that_the_forges_give_them() {
        let page = Page::parse("# A `b`: c, d\n## Same\n## Same\n```\n# no heading\n```\n");
        assert_eq!(page.anchors, ["a-b-c-d", "same", "same-1"]);
    }

    #[test]
    fn links_of_every_form_are_found_and_code_is_none() {
        let text = "[a](x.md) ![b](y.svg) [c][d] `[e](no)`\n\n| t |\n| --- |\n| [f](z.md#g) |\n\n[d]: w.md\n";
        let page = Page::parse(text);
        assert_eq!(page.targets, ["x.md", "y.svg", "w.md", "z.md#g"]);
    }

    #[test]
    fn files_are_told_from_other_code() {
        let text = "`agent/src/cli.rs` `xtask/` `tests/conformance/*.toml` `deploy/NAME.md` `cargo xtask` `agent/src/no way`";
        assert_eq!(Page::parse(text).files, ["agent/src/cli.rs", "xtask/"]);
    }

    #[test]
    fn paths_are_resolved_from_the_page() {
        let from = Path::new("docs/decisions/0001.md");
        assert_eq!(
            resolve(from, "../metrics.md"),
            Some("docs/metrics.md".into())
        );
        assert_eq!(
            resolve(from, "./0002.md"),
            Some("docs/decisions/0002.md".into())
        );
        assert_eq!(resolve(from, "../../../x.md"), None);
        assert_eq!(resolve(from, "/x.md"), None);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_told() {
        let root = cache::workspace();
        let pages = BTreeMap::from([(PathBuf::from("README.md"), Page::parse("# Here\n"))]);
        let from = Path::new("README.md");
        assert_eq!(follow(root, &pages, from, "#here"), Ok(()));
        assert_eq!(follow(root, &pages, from, "Cargo.toml"), Ok(()));
        assert!(follow(root, &pages, from, "#there").is_err());
        assert!(follow(root, &pages, from, "nothing.md").is_err());
        assert!(follow(root, &pages, from, "../outside.md").is_err());
    }
}
