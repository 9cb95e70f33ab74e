//! What the README shows is what is compiled here.

const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_shows_these_programs() {
    for program in [
        include_str!("../src/room.rs"),
        include_str!("../src/bin/on_warp.rs"),
        include_str!("../src/bin/on_actix.rs"),
        include_str!("../src/bin/on_axum.rs"),
    ] {
        assert!(README.contains(program), "the README does not have this program as it is:\n{program}");
    }
}

const NAMES: &str = include_str!("../../../docs/coming-from-phoenix.md");

/// How many ids each section of Phoenix's features has.
const SECTIONS: [(char, usize); 24] = [
    ('A', 48),
    ('B', 44),
    ('C', 22),
    ('D', 43),
    ('E', 20),
    ('F', 14),
    ('G', 10),
    ('H', 16),
    ('I', 8),
    ('J', 23),
    ('K', 27),
    ('L', 27),
    ('M', 25),
    ('N', 8),
    ('O', 9),
    ('P', 5),
    ('Q', 42),
    ('R', 14),
    ('S', 6),
    ('T', 12),
    ('U', 12),
    ('V', 4),
    ('W', 6),
    ('X', 4),
];

#[test]
fn every_feature_of_phoenix_has_a_row() {
    let cells = NAMES.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let mut ids = std::collections::HashSet::new();
    for part in cells.flat_map(|cell| cell.split([',', '†'])).map(str::trim) {
        let (first, last) = part.split_once('–').unwrap_or((part, part));
        let Some(section) = first.chars().next().filter(char::is_ascii_uppercase) else { continue };
        let number = |id: &str| id.trim_start_matches(section).parse::<usize>();
        let (Ok(first), Ok(last)) = (number(first), number(last)) else { continue };
        ids.extend((first..=last).map(|number| (section, number)));
    }
    for (section, count) in SECTIONS {
        let missing: Vec<_> = (1..=count).filter(|number| !ids.contains(&(section, *number))).collect();
        assert!(missing.is_empty(), "{section} {missing:?}");
    }
}
