//! The tables, in Markdown.

use super::summary::{Faults, MEMORY, RATIOS, Row, Spread};

const FOREIGN: &str = "others' CPU";
const NONE: &str = "–";

/// Ratios first, then memory; a table without rows is left out.
pub(super) fn render(rows: &[Row], rounds: usize) -> String {
    let mut text = format!(
        "Medians of {rounds} rounds, the lowest and the highest round in brackets. Every figure of the first \
         table is a ratio to the limit server in the same round: 1.00 is the limit, less is better except for \
         messages/s. The last column of figures is the most CPU, in cores, that other processes of the machine \
         took during one of the rounds: unless it is near zero, they are in the ratios too.\n\n"
    );
    let timed = rows.iter().filter(|row| !row.is_limit() && row.ratios.iter().any(Option::is_some));
    let columns: Vec<_> = RATIOS.into_iter().chain([FOREIGN]).collect();
    text += &table("", &columns, timed, |row| {
        let foreign = row.foreign_cpu.map_or_else(|| NONE.to_owned(), |cores| format!("{cores:.2}"));
        row.ratios.iter().map(|figure| cell(*figure)).chain([foreign]).collect()
    });
    let resident = rows.iter().filter(|row| row.memory.iter().any(Option::is_some));
    text += &table("Memory, in KiB resident:\n\n", &MEMORY, resident, |row| {
        row.memory.iter().map(|figure| cell(*figure)).collect()
    });
    text
}

fn table<'a>(
    intro: &str,
    columns: &[&str],
    rows: impl Iterator<Item = &'a Row>,
    cells: impl Fn(&Row) -> Vec<String>,
) -> String {
    let lines: Vec<_> = rows
        .map(|row| {
            let cells = cells(row).join(" | ");
            format!("| {} | {} | {cells} | {} |\n", row.mode.name(), row.server, faults(row.faults))
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let rule = "--:|".repeat(columns.len());
    format!(
        "{intro}| mode | server | {} | faults |\n|---|---|{rule}---|\n{}\n",
        columns.join(" | "),
        lines.concat()
    )
}

fn cell(figure: Option<Spread>) -> String {
    figure.map_or_else(
        || NONE.to_owned(),
        |Spread { median, lowest, highest }| format!("{median:.2} ({lowest:.2}–{highest:.2})"),
    )
}

fn faults(faults: Faults) -> String {
    let Faults { lost, misordered, unexpected, disconnected } = faults;
    let named = [
        (lost, "lost"),
        (misordered, "misordered"),
        (unexpected, "unexpected"),
        (disconnected, "disconnected"),
    ];
    let found: Vec<_> =
        named.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Mode;

    #[test]
    fn ratios_and_memory_have_a_table_each() {
        let figure = |median| Some(Spread { median, lowest: median - 0.25, highest: median + 0.5 });
        let row = |mode, server: &str, ratio: Option<Spread>, kib: Option<Spread>, lost| Row {
            mode,
            server: server.to_owned(),
            ratios: [ratio, None, None, None, None],
            memory: [kib, None, None, None],
            faults: Faults { lost, ..Faults::default() },
            foreign_cpu: Some(0.25),
        };
        let rows = [
            row(Mode::Echo, "limit", figure(1.0), None, 0),
            row(Mode::Echo, "other", figure(1.5), None, 3),
            row(Mode::Idle, "limit", None, figure(2.0), 0),
        ];
        let text = render(&rows, 5);
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(
            lines,
            [
                "| mode | server | CPU per message | messages/s | p50 | p99 | p99.9 | others' CPU | faults |",
                "| echo | other | 1.50 (1.25–2.00) | – | – | – | – | 0.25 | 3 lost |",
                "| mode | server | KiB per connection | KiB per further topic | session alone | HTTP connection alone | \
                 faults |",
                "| idle | limit | 2.00 (1.75–2.50) | – | – | – | none |",
            ]
        );
        assert!(text.starts_with("Medians of 5 rounds"), "{text}");
    }

    #[test]
    fn a_table_without_rows_is_left_out() {
        assert!(!render(&[], 1).contains('|'));
    }
}
