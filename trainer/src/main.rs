//! The `kinglet` command.

fn main() -> std::process::ExitCode {
    kinglet_trainer::cli::main()
}
