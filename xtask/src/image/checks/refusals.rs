//! What it says where it cannot serve: one line with what to do, and an exit code that is not 0.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::serving::link;
use super::{expect, Check, Subject};
use crate::store::cannot;
use crate::Result;

pub const ALL: &[Check] = &[
    ("refuses: no model mounted", no_mount),
    ("refuses: an empty folder", empty),
    ("refuses: a model of mode 0600, another user", private_file),
    (
        "refuses: a folder of mode 0700, another user",
        private_folder,
    ),
    ("refuses: a link that leads out of the mount", lost_link),
    ("refuses: a port that is taken", taken_port),
    ("refuses: serve misspelt", misspelt),
    ("refuses: a setting that is wrong", wrong_setting),
    ("refuses: a model larger than the memory", too_large),
    ("says what it was at where memory ends", no_memory),
];

const PATIENCE: Duration = Duration::from_secs(20);
const USER: [&str; 2] = ["--user", "12345"];

/// It ends by itself with this exit code and one complaint; what it said holds all of `parts`.
pub fn refused(
    subject: &Subject<'_>,
    options: &[&str],
    arguments: &[&str],
    code: i32,
    parts: &[&str],
) -> Result<String> {
    let end = subject.start(options, arguments)?.end(PATIENCE)?;
    let is_complaint = |line: &&str| {
        ["ERROR ", "plimsoll: ", "error: "]
            .iter()
            .any(|head| line.contains(head))
    };
    let complaints: Vec<&str> = end.log.lines().filter(is_complaint).collect();
    let [complaint] = complaints.as_slice() else {
        return Err(format!("{} complaints:\n{}", complaints.len(), end.log));
    };
    expect(end.code == code, || {
        format!("exit code {}, expected {code}", end.code)
    })?;
    for part in parts {
        expect(end.log.contains(part), || {
            format!("{part} is not in:\n{}", end.log)
        })?;
    }
    let said = complaint
        .split_once("ERROR ")
        .map_or(*complaint, |(_, said)| said);
    Ok(format!("{code}: {said}"))
}

/// The same with a model folder.
fn refuses(
    subject: &Subject<'_>,
    folder: &Path,
    options: &[&str],
    parts: &[&str],
) -> Result<String> {
    let volume = format!("{}:/opt/ml/model:ro", folder.display());
    let options = [options, &["--volume", &volume]].concat();
    refused(subject, &options, &["serve"], 1, parts)
}

fn no_mount(subject: &Subject<'_>) -> Result<String> {
    refused(
        subject,
        &[],
        &["serve"],
        1,
        &["/opt/ml/model", "--volume FOLDER:/opt/ml/model"],
    )
}

fn empty(subject: &Subject<'_>) -> Result<String> {
    refuses(
        subject,
        &subject.folder("empty")?,
        &[],
        &["it is empty", "model.onnx"],
    )
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| cannot("change the mode of", path, &error))
}

fn private_file(subject: &Subject<'_>) -> Result<String> {
    let folder = subject.folder_with_model("private-file")?;
    set_mode(&folder.join("model.onnx"), 0o600)?;
    refuses(
        subject,
        &folder,
        &USER,
        &["Permission denied", "user 12345", "chmod"],
    )
}

fn private_folder(subject: &Subject<'_>) -> Result<String> {
    let folder = subject.folder_with_model("private-folder")?;
    set_mode(&folder, 0o700)?;
    let seen = refuses(
        subject,
        &folder,
        &USER,
        &["Permission denied", "user 12345", "chmod"],
    );
    set_mode(&folder, 0o755)?;
    seen
}

fn lost_link(subject: &Subject<'_>) -> Result<String> {
    let folder = subject.folder("lost-link")?;
    link("../../blobs/3f2a", &folder.join("model.onnx"))?;
    refuses(
        subject,
        &folder,
        &[],
        &["a link to ../../blobs/3f2a", "a mount that holds both"],
    )
}

fn taken_port(subject: &Subject<'_>) -> Result<String> {
    let first = subject.serve(&subject.model("digits"), &[])?;
    let network = format!("container:{}", first.id());
    let options = ["--network", &network];
    refuses(
        subject,
        &subject.model("digits"),
        &options,
        &["0.0.0.0:8080", "expected a free port"],
    )
}

fn misspelt(subject: &Subject<'_>) -> Result<String> {
    refused(subject, &[], &["sevre"], 64, &["'sevre'", "'serve'"])
}

fn wrong_setting(subject: &Subject<'_>) -> Result<String> {
    let options = ["--env", "PLIMSOLL_SLOTS=many"];
    refused(
        subject,
        &options,
        &["serve"],
        64,
        &["PLIMSOLL_SLOTS=many", "expected a whole number"],
    )
}

fn too_large(subject: &Subject<'_>) -> Result<String> {
    let folder = subject.folder("too-large")?;
    let model = folder.join("model.onnx");
    // All holes: it has the size and takes no place.
    fs::File::create(&model)
        .and_then(|file| file.set_len(200_000_000))
        .map_err(|error| cannot("create", &model, &error))?;
    refuses(
        subject,
        &folder,
        &["--memory", "64m"],
        &["200 MB", "67 MB", "--memory"],
    )
}

fn no_memory(subject: &Subject<'_>) -> Result<String> {
    let volume = format!("{}:/opt/ml/model:ro", subject.model("digits").display());
    let options = [
        "--memory",
        "10m",
        "--memory-swap",
        "10m",
        "--volume",
        &volume,
    ];
    let container = subject.start(&options, &["serve"])?;
    let end = container.end(PATIENCE)?;
    let killed = container.inspect("{{.State.OOMKilled}}")?;
    let last = end.log.lines().rfind(|line| !line.contains(" WARN "));
    let last = last.unwrap_or_default();
    let last = last.split_once("INFO ").map_or(last, |(_, said)| said);
    let seen = format!("{}, killed for memory {killed}: {last}", end.code);
    expect(
        end.code != 0 && last.contains("/opt/ml/model/model.onnx"),
        || seen.clone(),
    )?;
    Ok(seen)
}
