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
