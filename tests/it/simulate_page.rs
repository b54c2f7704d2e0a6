//! The page that `plimsoll simulate --html` writes, opened in a headless Chromium.
//!
//! With `PLIMSOLL_UPDATE_PICTURES` set the screenshots go to `docs/images/`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{root, server::binary};

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const SIZE: (u32, u32) = (1040, 2020);

fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// The page's pixels, as red, green and blue.
fn screenshot(browser: &Path, page: &Path, picture: &Path, scheme: &str) -> Vec<[u8; 3]> {
    let folder = page.parent().expect("a folder");
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
        ])
        // No line to the world: the page needs none.
        .args([
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .arg(format!("--user-data-dir={}", folder.join(scheme).display()))
        .arg(format!(
            "--blink-settings=preferredColorScheme={}",
            if scheme == "dark" { 0 } else { 1 }
        ))
        .arg(format!("--window-size={},{}", SIZE.0, SIZE.1))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let file = std::fs::File::open(picture).unwrap_or_else(|error| panic!("{error}: {said}"));
    let decoder = png::Decoder::new(std::io::BufReader::new(file));
    let mut reader = decoder.read_info().expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut bytes).expect("a picture");
    assert_eq!((info.width, info.height), SIZE);
    let samples = info.color_type.samples();
    let pixels = bytes[..info.buffer_size()].chunks(samples);
    pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

#[test]
fn the_page_opens_in_the_light_and_in_the_dark() {
    let Some(browser) = browser() else {
        eprintln!("skipped: no Chromium on PATH, which `cargo xtask test` installs where it may");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("report.html");
    let is_for_docs = std::env::var_os("PLIMSOLL_UPDATE_PICTURES").is_some();
    let few = ["--seeds", "1", "--phases", "2"];
    let output = Command::new(binary())
        .args(["simulate", "--demo", "--price", "0.204", "--html"])
        .arg(&page)
        .args(few.iter().filter(|_| !is_for_docs))
        .output()
        .expect("plimsoll runs");
    assert!(output.status.success(), "{output:?}");
    let html = std::fs::read_to_string(&page).expect("the page");
    // Four pictures for each of three configurations, and nothing from elsewhere.
    assert_eq!(html.matches("<svg ").count(), 12);
    for foreign in ["src=", "href=", "url(", "<script", "@import"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    let docs = root().join("docs/images");
    for (scheme, paper, instances) in [
        ("light", [0xff, 0xff, 0xff], [0xc2, 0x41, 0x0c]),
        ("dark", [0x15, 0x19, 0x1e], [0xfb, 0x92, 0x3c]),
    ] {
        let name = format!("simulate-{scheme}.png");
        let picture = folder.path().join(&name);
        let pixels = screenshot(&browser, &page, &picture, scheme);
        assert_eq!(pixels[0], paper, "{scheme}");
        let of = |colour: [u8; 3]| pixels.iter().filter(|&&pixel| pixel == colour).count();
        assert!(of(paper) * 2 > pixels.len(), "{scheme}: mostly paper");
        assert!(
            of(instances) > 500,
            "{scheme}: {} pixels of the line of instances",
            of(instances)
        );
        // The colours that stand for others never show.
        for marker in 1..=11 {
            assert!(of([marker; 3]) == 0, "{scheme}: {marker}");
        }
        let colours: HashSet<[u8; 3]> = pixels.iter().copied().collect();
        assert!(colours.len() > 100, "{scheme}: {} colours", colours.len());
        if is_for_docs {
            std::fs::create_dir_all(&docs).expect("a folder");
            std::fs::copy(&picture, docs.join(&name)).expect("a copy");
        }
        assert!(
            docs.join(&name).is_file(),
            "{name} is missing in docs/images"
        );
    }
}
