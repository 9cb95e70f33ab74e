//! `cargo xtask test`: every test there is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use clap::ValueEnum;

use crate::{
    command::{self, Failure, minutes},
    npm,
    prerequisites::{Prerequisites, find},
    project,
    results::Results,
    server::Server,
    suites::{SUITES, Subject, Suite},
    summary::Summary,
};

const BUILD_LIMIT: Duration = minutes(25);
const RUST_LIMIT: Duration = minutes(20);
const SUITE_LIMIT: Duration = minutes(5);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs the live suites over these adapters only
    #[arg(long, value_enum, value_delimiter = ',')]
    adapter: Vec<Adapter>,
    /// Runs these parts only
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

/// The frameworks a server can be mounted in.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Adapter {
    Warp,
    Actix,
    Axum,
}

impl Adapter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Actix => "actix",
            Self::Axum => "axum",
            Self::Warp => "warp",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Unit, integration and documentation tests
    Rust,
    /// The npm phoenix client in Node
    Node,
    /// The npm phoenix client in Chromium
    Chromium,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let prerequisites = Prerequisites::look_up();
    for missing in prerequisites.missing() {
        println!("missing: {}, needed for {}", missing.name, missing.needed_for);
    }

    let mut summary = Summary::default();
    // Everything in one build: tests and programs share their dependencies only with the same features.
    let built = summary.step("build", || {
        command::run(&mut project::cargo(&["build", "--workspace", "--all-targets", "--locked"]), BUILD_LIMIT)
    });
    if built && wanted(Part::Rust) {
        rust_tests(&mut summary);
    }
    if built && (wanted(Part::Node) || wanted(Part::Chromium)) {
        let chosen = |suite: &&Suite| {
            suite.feature.is_offered() && wanted(if suite.in_browser { Part::Chromium } else { Part::Node })
        };
        let adapters = if options.adapter.is_empty() { Adapter::value_variants() } else { &options.adapter };
        Live::new(&prerequisites)?.run(
            &mut summary,
            adapters,
            &SUITES.iter().filter(chosen).collect::<Vec<_>>(),
        );
    }

    if project::is_ci() {
        for missing in prerequisites.missing() {
            summary.step(&format!("{} (needed for {})", missing.name, missing.needed_for), || {
                Err(Failure::Missing(missing.name))
            });
        }
    }
    let code = summary.finish();
    for missing in prerequisites.missing() {
        println!("not run for want of {}: {}", missing.name, missing.needed_for);
    }
    Ok(code)
}

fn rust_tests(summary: &mut Summary) {
    let arguments: &[&str] = if find("cargo-nextest").is_some() {
        &["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--status-level=slow"]
    } else {
        println!("cargo-nextest is not installed: cargo test runs the same tests, a little slower");
        &["test", "--workspace", "--lib", "--bins", "--tests", "--examples", "--locked", "--no-fail-fast"]
    };
    summary.tests("Rust tests", |results| read(&mut project::cargo(arguments), RUST_LIMIT, results));
    summary.tests("documentation tests", |results| {
        let arguments = ["test", "--workspace", "--doc", "--locked", "--no-fail-fast"];
        read(&mut project::cargo(&arguments), RUST_LIMIT, results)
    });
}

/// The suites of `conformance/live`, with the programs they run and talk to.
struct Live {
    folder: PathBuf,
    node: Option<PathBuf>,
    chromium: Option<PathBuf>,
    reference_app: PathBuf,
    chat: PathBuf,
}

impl Live {
    fn new(prerequisites: &Prerequisites) -> Result<Self, Failure> {
        Ok(Self {
            folder: project::root().join("conformance/live"),
            node: prerequisites.path("node").map(Path::to_path_buf),
            chromium: prerequisites.path("chromium").map(Path::to_path_buf),
            reference_app: project::program("phoenix-conformance")?,
            chat: project::program("chat")?,
        })
    }

    fn run(&self, summary: &mut Summary, adapters: &[Adapter], suites: &[&Suite]) {
        let Some(node) = &self.node else { return };
        if find("npm").is_none() {
            return;
        }
        let installed = summary.step("npm packages", || {
            npm::install(&self.folder)?;
            npm::install(&project::root().join("examples/chat/page"))
        });
        if !installed {
            return;
        }
        for adapter in adapters {
            for suite in suites.iter().filter(|suite| !suite.in_browser || self.chromium.is_some()) {
                summary.tests(&format!("{}: {}", adapter.name(), suite.name), |results| {
                    self.run_suite(node, suite, *adapter, results)
                });
            }
        }
    }

    fn run_suite(
        &self,
        node: &Path,
        suite: &Suite,
        adapter: Adapter,
        results: &mut Results,
    ) -> Result<(), Failure> {
        let mut command = Command::new(node);
        command
            .current_dir(&self.folder)
            .args(["--test", "--test-reporter=spec", "--test-concurrency=4"])
            .args(self.files(suite)?)
            .env("PHOENIX_TRANSPORT", suite.transport);
        if let Some(chromium) = &self.chromium {
            command.env("CHROMIUM", chromium);
        }
        match suite.subject {
            Subject::Chat => {
                command.env("CHAT_BIN", &self.chat).env("CHAT_ADAPTER", adapter.name());
                read(&mut command, SUITE_LIMIT, results)
            }
            Subject::ReferenceApp => {
                let server = Server::start(
                    &self.reference_app,
                    &["serve", "--adapter", adapter.name(), "--port", "0"],
                )?;
                read(command.env("PHOENIX_URL", &server.url), SUITE_LIMIT, results)?;
                server.stop()
            }
        }
    }

    /// The test files of a suite, by name: older versions of Node do not search for them as newer ones do.
    fn files(&self, suite: &Suite) -> Result<Vec<PathBuf>, Failure> {
        let path = self.folder.join(suite.tests);
        if path.is_file() {
            return Ok(vec![path]);
        }
        let entries =
            fs::read_dir(&path).map_err(|cause| Failure::Read { path: path.display().to_string(), cause })?;
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.to_string_lossy().ends_with(".test.js"))
            .collect();
        files.sort();
        Ok(files)
    }
}

fn read(command: &mut Command, limit: Duration, results: &mut Results) -> Result<(), Failure> {
    command::run_lines(command, limit, |line| results.read(line))
}
