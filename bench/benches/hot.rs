//! Times of the hot paths, in memory and on one thread: `cargo bench -p phoenix-bench`.

use clap::ValueEnum as _;
use divan::Bencher;
use phoenix_bench::hot::Path;

fn main() {
    divan::main();
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "arguments come by reference from a slice")]
#[divan::bench(args = Path::value_variants())]
fn hot(bencher: Bencher<'_, '_>, path: &Path) {
    let operation = path.prepare();
    bencher.bench_local(operation);
}
