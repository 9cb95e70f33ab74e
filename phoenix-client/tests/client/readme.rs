//! What the READMEs show is what is compiled here.

const EXAMPLE: &str = include_str!("../../examples/echo.rs");

#[test]
fn the_readmes_show_the_example() {
    assert!(EXAMPLE.lines().count() <= 30, "it is meant to be short");
    for readme in [include_str!("../../../README.md"), include_str!("../../README.md")] {
        assert!(readme.contains(EXAMPLE), "the README does not have this program as it is:\n{EXAMPLE}");
    }
}
