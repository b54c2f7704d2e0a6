//! What goes wrong, and the settings that bring it about.

use std::time::Duration;

use crate::faulty::{Fault, Faulty};
use crate::nvml::StandIn;

/// What is wrong with one of two servers.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    /// Nothing: the ratio that two equal servers give on this machine today.
    Nothing,
    CloudWatch(Fault),
    Unresolvable,
    CredentialsAbsent,
    CredentialsSlow,
    CredentialsExpire,
    StdoutBlocked,
    DriverHangs,
}

/// Each with its name in the table.
pub(crate) const CASES: [(&str, Case); 16] = [
    ("none, to compare", Case::Nothing),
    (
        "CloudWatch: 400",
        Case::CloudWatch(Fault::Answer(400, "InvalidParameterValue")),
    ),
    (
        "CloudWatch: 403",
        Case::CloudWatch(Fault::Answer(403, "AccessDenied")),
    ),
    (
        "CloudWatch: 413",
        Case::CloudWatch(Fault::Answer(413, "RequestEntityTooLarge")),
    ),
    (
        "CloudWatch: 429",
        Case::CloudWatch(Fault::Answer(429, "Throttling")),
    ),
    (
        "CloudWatch: 500",
        Case::CloudWatch(Fault::Answer(500, "InternalServiceFault")),
    ),
    (
        "CloudWatch hangs after accept",
        Case::CloudWatch(Fault::HangAtOnce),
    ),
    (
        "CloudWatch hangs after reading",
        Case::CloudWatch(Fault::HangAfterReading),
    ),
    (
        "CloudWatch drips a byte a second",
        Case::CloudWatch(Fault::Drip),
    ),
    (
        "CloudWatch closes mid-reply",
        Case::CloudWatch(Fault::CloseMidReply),
    ),
    ("CloudWatch's name does not resolve", Case::Unresolvable),
    ("credentials: nobody listens", Case::CredentialsAbsent),
    ("credentials: no answer", Case::CredentialsSlow),
    ("credentials expire each period", Case::CredentialsExpire),
    ("stdout blocked", Case::StdoutBlocked),
    ("NVML hangs", Case::DriverHangs),
];

/// What must live as long as the server that talks to it.
#[derive(Default)]
pub(crate) struct Around {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) stdout_blocked: bool,
    _services: Vec<Faulty>,
    _driver: Option<StandIn>,
}

impl Around {
    /// A server's surroundings with the fault, or in health.
    pub(crate) fn new(case: Case, faulty: bool) -> Self {
        let mut around = Self::default();
        for (name, value) in [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("PLIMSOLL_ENDPOINT_NAME", "endpoint"),
            ("PLIMSOLL_VARIANT_NAME", "AllTraffic"),
        ] {
            around.set(name, value);
        }
        let is_emf = matches!(case, Case::StdoutBlocked);
        around.set(
            "PLIMSOLL_METRICS_ROUTE",
            if is_emf { "emf" } else { "cloudwatch" },
        );
        let fault = match case {
            Case::CloudWatch(fault) if faulty => fault,
            _ => Fault::None,
        };
        let cloudwatch = Faulty::cloudwatch(fault);
        let url = match case {
            Case::Unresolvable if faulty => "http://cloudwatch.invalid:1/".to_owned(),
            _ => cloudwatch.url(),
        };
        around.set("AWS_ENDPOINT_URL_CLOUDWATCH", &url);
        around._services.push(cloudwatch);
        match case {
            Case::CredentialsAbsent | Case::CredentialsSlow | Case::CredentialsExpire => {
                around.credentials(case, faulty);
            }
            Case::DriverHangs => {
                let reading = if faulty { "hang" } else { "30" };
                let driver = StandIn::new(&format!(
                    "count 1\n0.name NVIDIA Stand-in\n0.utilization {reading}\n0.memory 1000 4000\n"
                ));
                around.set(
                    "PLIMSOLL_NVML_LIBRARY",
                    &driver.library().display().to_string(),
                );
                around._driver = Some(driver);
            }
            Case::StdoutBlocked => around.stdout_blocked = faulty,
            _ => {}
        }
        if !matches!(
            case,
            Case::CredentialsAbsent | Case::CredentialsSlow | Case::CredentialsExpire
        ) {
            around.set("AWS_ACCESS_KEY_ID", "test");
            around.set("AWS_SECRET_ACCESS_KEY", "test");
        }
        around
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    fn credentials(&mut self, case: Case, faulty: bool) {
        let (fault, seconds) = match case {
            Case::CredentialsSlow if faulty => (Fault::HangAfterReading, 3600),
            Case::CredentialsExpire if faulty => (Fault::None, 5),
            _ => (Fault::None, 3600),
        };
        let service = Faulty::credentials(fault, Duration::from_secs(seconds));
        let url = match case {
            Case::CredentialsAbsent if faulty => "http://127.0.0.1:1/".to_owned(),
            _ => format!("{}/credentials", service.url()),
        };
        self.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url);
        self._services.push(service);
    }
}
