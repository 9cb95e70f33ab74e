//! The generated part of a document.

const BEGIN: &str = "<!-- comparison: begin -->";
const END: &str = "<!-- comparison: end -->";

/// The document has no begin marker with an end marker after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lines `{BEGIN}` and `{END}` are missing")]
pub struct MarkersMissing;

/// Puts `text` in place of whatever stands between the markers.
pub(super) fn replace(document: &str, text: &str) -> Result<String, MarkersMissing> {
    let (before, rest) = document.split_once(BEGIN).ok_or(MarkersMissing)?;
    let (_, after) = rest.split_once(END).ok_or(MarkersMissing)?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_is_replaced_and_the_rest_is_kept() {
        let document = format!("# Title\n\n{BEGIN}\nold\n{END}\n\ntail\n");
        let once = replace(&document, "new\n").unwrap();
        assert_eq!(once, format!("# Title\n\n{BEGIN}\nnew\n{END}\n\ntail\n"));
        assert_eq!(replace(&once, "new").unwrap(), once, "writing again changes nothing");
    }

    #[test]
    fn markers_must_be_there_and_in_order() {
        for document in ["", BEGIN, END, &format!("{END}\n{BEGIN}")] {
            assert_eq!(replace(document, "x"), Err(MarkersMissing));
        }
    }
}
