//! The container's entry.

fn main() -> std::process::ExitCode {
    plimsoll::run(std::env::args_os())
}
