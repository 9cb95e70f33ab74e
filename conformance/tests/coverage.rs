//! `docs/COVERAGE.md` says what shows each behaviour: nothing is left out, and what is named exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use phoenix_conformance::recording;

/// How many ids each part of Phoenix's tests has.
const PARTS: [(&str, usize); 31] = [
    ("WC", 33),
    ("WS", 10),
    ("LC", 24),
    ("LS", 7),
    ("V1", 5),
    ("V2", 14),
    ("MS", 3),
    ("SK", 12),
    ("TR", 24),
    ("CH", 6),
    ("CT", 30),
    ("EP", 2),
    ("SV", 2),
    ("DB", 7),
    ("TK", 12),
    ("LG", 9),
    ("PR", 21),
    ("PS", 15),
    ("PD", 5),
    ("TS", 15),
    ("TD", 7),
    ("TC", 6),
    ("TRP", 7),
    ("TSH", 2),
    ("TR2", 15),
    ("JS", 42),
    ("JC", 24),
    ("JL", 10),
    ("JP", 12),
    ("JZ", 9),
    ("X", 37),
];

/// How many subsections each section of the protocol has.
const SECTIONS: [usize; 28] =
    [0, 0, 0, 0, 0, 0, 0, 6, 6, 7, 4, 0, 0, 0, 0, 9, 0, 6, 0, 11, 5, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn nothing_is_left_out() {
    let text = coverage();
    let rows = rows(&text);
    let ids: Vec<_> = rows.iter().flat_map(|row| row.ids.iter().copied()).collect();
    let parts = PARTS.iter().flat_map(|(part, count)| (1..=*count).map(move |id| format!("{part}-{id:02}")));
    let sections = SECTIONS.iter().enumerate().flat_map(|(section, count)| match count {
        0 => vec![format!("§{section}")],
        _ => (1..=*count).map(|subsection| format!("§{section}.{subsection}")).collect(),
    });
    let expected: Vec<_> = parts.chain(["TP-01".to_owned()]).chain(sections).collect();
    let missing: Vec<_> = expected.iter().filter(|id| !ids.contains(&id.as_str())).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
    assert_eq!(ids.len(), expected.len(), "every id has one row, and there are no others");
    let empty: Vec<_> = rows.iter().filter(|row| row.shown_by.is_empty()).map(|row| &row.ids).collect();
    assert!(empty.is_empty(), "shown by nothing: {empty:?}");
}

#[test]
fn what_is_named_exists() {
    let tests = tests();
    let deviations = std::fs::read_to_string(root().join("docs/DEVIATIONS.md")).unwrap();
    let text = coverage();
    let mut unknown = BTreeSet::new();
    for row in rows(&text) {
        for name in row.shown_by.split('`').skip(1).step_by(2) {
            if !exists(name, &tests) {
                unknown.insert(format!("{:?} {name}", row.ids));
            }
        }
        let words =
            row.shown_by.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_deviation(word));
        unknown.extend(
            words
                .filter(|id| !deviations.contains(&format!("| {id} |")))
                .map(|id| format!("{:?} {id}", row.ids)),
        );
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn a_deviation_has_an_id_of_its_own() {
    let deviations = std::fs::read_to_string(root().join("docs/DEVIATIONS.md")).unwrap();
    let cells = deviations.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let mut ids: Vec<_> = cells.map(|(id, _)| id).filter(|id| is_deviation(id)).collect();
    ids.sort_unstable();
    assert!(ids.len() > 20 && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
}

struct Row<'a> {
    ids: Vec<&'a str>,
    shown_by: &'a str,
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = lines.map(|line| line.split(" | ").collect::<Vec<_>>());
    let rows = cells.filter_map(|cells| match cells[..] {
        [ids, _, shown_by] => Some(Row { ids: ids.split(", ").collect(), shown_by: shown_by.trim() }),
        _ => None,
    });
    rows.filter(|row| !matches!(row.ids[..], ["id" | "section" | "---"] | ["---", ..])).collect()
}

fn is_deviation(word: &str) -> bool {
    let number = word.strip_prefix(['D', 'U']).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a test, a recording, a dialogue or a scenario has that name, or what it is about is no name of one.
fn exists(name: &str, tests: &BTreeMap<String, BTreeSet<String>>) -> bool {
    let conformance = root().join("conformance");
    if let Some((file, test)) = name.split_once("::") {
        // Upper case is a type or a method of the library.
        return test.starts_with(char::is_lowercase) && file.starts_with(char::is_uppercase)
            || tests.get(file).is_some_and(|tests| tests.contains(test));
    }
    let folder = match extension(Path::new(name)) {
        Some("js") => Some("live"),
        Some("txt") => Some("tests/reference_app/dialogues"),
        _ => None,
    };
    if let Some(folder) = folder {
        return conformance.join(folder).join(name).is_file();
    }
    if ["ws_", "lp_", "browser_"].iter().any(|kind| name.starts_with(kind)) {
        return recording::bundled().iter().any(|recorded| match name.strip_suffix('*') {
            Some(start) => recorded.name.starts_with(start),
            None => recorded.name == name,
        });
    }
    true
}

/// The names of tests by those of their files.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut tests: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for path in sources(&root()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let names = test_names(&text);
        if names.is_empty() {
            continue;
        }
        let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let file = match stem(&path).as_str() {
            "mod" | "main" | "tests" => path.parent().map(stem).unwrap_or_default(),
            stem => stem.to_owned(),
        };
        tests.entry(file).or_default().extend(names);
    }
    tests
}

/// Functions behind an attribute with `test` in it; in a file of properties or of a suite, all functions.
fn test_names(text: &str) -> Vec<String> {
    let all = text.contains("proptest! {") || text.contains("macro_rules! engine_tests");
    let mut names = Vec::new();
    let mut attributes = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push_str(line);
            continue;
        }
        let declared = line.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next());
        if let Some(name) = declared.filter(|_| all || attributes.contains("test")) {
            names.push(name.to_owned());
        }
        attributes.clear();
    }
    names
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() && !matches!(&*name, "target" | "node_modules") && !name.starts_with('.') {
            files.extend(sources(&path));
        } else if extension(&path) == Some("rs") {
            files.push(path);
        }
    }
    files
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

fn coverage() -> String {
    std::fs::read_to_string(root().join("docs/COVERAGE.md")).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
