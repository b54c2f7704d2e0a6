//! What a container has of its own, without a container engine: a network, a root file system.
//! Both need privileges; where they are missing there is none, and a test says that it is skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::prepared;
use super::server::{binary, Start};

/// A tool of the system, by its whole path: servers start with a short `PATH`.
pub fn tool(name: &str) -> Option<String> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| format!("{folder}/{name}"))
        .find(|path| Path::new(path).exists())
}

fn works(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    quiet
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A network namespace, joined to this one by a pair of interfaces. Deleted when dropped.
pub struct Network {
    ip: String,
    name: String,
    /// Address of the namespace's end.
    pub inside: String,
}

impl Network {
    /// None where none can be made.
    pub fn new() -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (process, n) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let subnet = (process * 16 + n % 16) % 16_384;
        let address = |host| format!("10.213.{}.{}", subnet / 64, subnet % 64 * 4 + host);
        let network = Self {
            ip: tool("ip")?,
            name: format!("plimsoll-{process}-{n}"),
            inside: address(2),
        };
        let (name, outer, inner) = (
            network.name.as_str(),
            &format!("pl{process}o{n}"),
            &format!("pl{process}i{n}"),
        );
        let (outer_address, inner_address) =
            (format!("{}/30", address(1)), format!("{}/30", address(2)));
        let steps: [&[&str]; 8] = [
            &["netns", "add", name],
            &["link", "add", outer, "type", "veth", "peer", "name", inner],
            &["link", "set", inner, "netns", name],
            &["address", "add", &outer_address, "dev", outer],
            &["link", "set", outer, "up"],
            &["-n", name, "address", "add", &inner_address, "dev", inner],
            &["-n", name, "link", "set", inner, "up"],
            &["-n", name, "link", "set", "lo", "up"],
        ];
        let made = steps
            .iter()
            .all(|step| works(Command::new(&network.ip).args(*step)));
        // What was made so far goes with the namespace.
        made.then_some(network)
    }

    /// Sends everything that is not local to the other end, where nobody forwards it.
    pub fn route_everything_nowhere(&self) {
        let (before, last) = self.inside.rsplit_once('.').expect("an address");
        let other_end = last.parse::<u8>().expect("a number") - 1;
        let gateway = format!("{before}.{other_end}");
        let route = ["-n", &self.name, "route", "add", "default", "via", &gateway];
        assert!(works(Command::new(&self.ip).args(route)), "{route:?}");
    }

    /// The command that runs another one inside.
    pub fn enter(&self) -> [&str; 4] {
        [&self.ip, "netns", "exec", &self.name]
    }

    /// A counter of the namespace's `/proc/net/snmp`, such as `Tcp` `ActiveOpens`.
    pub fn counter(&self, protocol: &str, name: &str) -> u64 {
        let [ip, netns, exec, namespace] = self.enter();
        let output = Command::new(ip)
            .args([netns, exec, namespace, "cat", "/proc/net/snmp"])
            .output()
            .expect("ip runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text
            .lines()
            .filter(|line| line.starts_with(&format!("{protocol}:")))
            .map(|line| line.split_whitespace());
        let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
        names
            .zip(values)
            .find(|(n, _)| *n == name)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or_else(|| panic!("no {protocol} {name} in {text}"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        works(Command::new(&self.ip).args(["netns", "delete", &self.name]));
    }
}

/// How a root file system is laid out.
pub struct Root {
    pub model: PathBuf,
    /// Whether anything but `/tmp` can be written to.
    pub read_only: bool,
    pub user: u32,
}

/// Lays out $1: this machine's programs and libraries, the model read-only, the server in /srv.
const LAY_OUT: &str = r#"
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$1 binary=$2 library=$3 model=$4 user=$5 read_only=$6
mount -t tmpfs none "$root"
cd "$root"
for folder in bin sbin lib lib32 lib64; do
  if [ -L /$folder ]; then cp -a /$folder $folder
  elif [ -d /$folder ]; then mkdir $folder; mount --bind -o ro /$folder $folder; fi
done
mkdir -p usr etc dev proc tmp srv opt/ml/model
mount --bind -o ro /usr usr
mount --bind -o ro /etc etc
mount --rbind /dev dev
mount -t proc none proc
mount -t tmpfs -o mode=1777 none tmp
touch srv/plimsoll srv/libonnxruntime.so
mount --bind "$binary" srv/plimsoll
mount --bind "$library" srv/libonnxruntime.so
mount --bind -o ro "$model" opt/ml/model
if [ "$read_only" = true ]; then mount -o remount,ro "$root"; fi
cd /
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups /srv/plimsoll serve
"#;

impl Root {
    /// The command that starts a server in it, at this mount point; none where it cannot be made.
    pub fn enter(&self, mount_point: &Path) -> Option<Vec<String>> {
        let unshare = tool("unshare")?;
        let mounts = "mount -t tmpfs none /tmp && chroot / setpriv --reuid 1 --clear-groups true";
        let permitted = works(Command::new(&unshare).args(["--mount", "sh", "-c", mounts]));
        permitted.then(|| {
            [
                unshare,
                "--mount".to_owned(),
                "sh".to_owned(),
                "-c".to_owned(),
                LAY_OUT.to_owned(),
                "container".to_owned(),
                mount_point.display().to_string(),
                binary().display().to_string(),
                prepared("onnxruntime/libonnxruntime.so")
                    .display()
                    .to_string(),
                self.model.display().to_string(),
                self.user.to_string(),
                self.read_only.to_string(),
            ]
            .to_vec()
        })
    }
}

impl Start {
    /// Starts it in a root file system of its own, where it finds model and library by itself.
    pub fn in_root(self, root: &Root) -> Option<Self> {
        let mount_point = self.folder().join("root");
        std::fs::create_dir(&mount_point).expect("a folder");
        let enter = root.enter(&mount_point)?;
        let enter: Vec<&str> = enter.iter().map(String::as_str).collect();
        Some(
            self.without("SAGEMAKER_BASE_DIR")
                .without("PLIMSOLL_ONNXRUNTIME_LIBRARY")
                .through(&enter),
        )
    }

    /// Starts it in a network of its own.
    pub fn in_network(self, network: &Network) -> Self {
        self.through(&network.enter()).at(&network.inside)
    }
}
