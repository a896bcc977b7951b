"""What a storage that says "no" means, by its own words: no matter of network, and not over by waiting.

restic shows a storage's message and not its code, so both are known here, of S3 and what speaks like it,
REST servers, Azure, B2, Google and Swift.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from backups.errors import shortened
from backups.text.sentences import template

# Of a storage's own words.
_MOST = 300


class Refusal(NamedTuple):
    """A kind of answer: `words` find it, `what` and `do` tell it of a storage.

    `what` takes {storage} and {said}; `do` takes {keys}, the names of the variables or fields that hold
    them, and {url_set_by}. One that `is_final` is the same after any waiting.
    """

    kind: str
    words: re.Pattern[str]
    what: str
    do: str
    is_final: bool = True


KEYS, BUCKET, FULL, OTHER = "keys", "bucket", "full", "other"


def _refusal(kind: str, words: str, what: str, do: str, *, is_final: bool = True) -> Refusal:
    return Refusal(kind, re.compile(words, re.IGNORECASE), what, do, is_final)


_REFUSALS = (
    _refusal(
        BUCKET,
        r"bucket does not exist|no such ?bucket|bucket not found|container ?not ?found"
        r"|(?:specified )?container does not exist",
        template("The storage answers, but has no bucket as {storage} names it."),
        template("Make the bucket, or correct {url_set_by}."),
    ),
    _refusal(
        OTHER,
        r"bucket name (?:contains|cannot)|invalid ?bucket ?name|specified bucket is not valid",
        template("No bucket can be called as in {storage} ({said})."),
        template("Correct {url_set_by}."),
    ),
    _refusal(
        KEYS,
        r"expiredtoken|token (?:has |is )?expired|included in the request is expired|invalid_grant"
        r"|tokenrefreshrequired|token must be refreshed",
        template("The storage of {storage} refuses our keys, because they have expired ({said})."),
        template("Put new ones into {keys}; the next run reads them."),
    ),
    _refusal(
        KEYS,
        r"invalidtoken|token is malformed or otherwise invalid|invalidclienttokenid|security token .*invalid",
        template("The storage of {storage} does not know our session token ({said})."),
        template(
            "Correct {keys}; AWS_SESSION_TOKEN belongs to one pair of keys, and is unset for keys that "
            "do not expire."
        ),
    ),
    _refusal(
        KEYS,
        r"invalidaccesskeyid|access key id you provided does not exist|signaturedoesnotmatch"
        r"|signature we calculated does not match",
        template("The storage of {storage} refuses our keys ({said})."),
        template("Check {keys}."),
    ),
    _refusal(
        OTHER,
        r"requesttimetooskewed|difference between the request time and|requestexpired|request has expired",
        template(
            "The clocks of this machine and of the storage of {storage} differ by too much, so it refuses us "
            "({said})."
        ),
        template("Set this machine's clock, as by NTP, then try again."),
    ),
    _refusal(
        OTHER,
        r"allaccessdisabled|all access to this \w+ has been disabled|accountproblem|notsignedup"
        r"|(?:account|user|bucket) (?:is |has been )?(?:disabled|suspended)|usersuspended|payment ?required",
        template("The storage of {storage} lets nobody in any more ({said})."),
        template("See with its provider whether the account or the bucket is suspended, or a bill is open."),
    ),
    _refusal(
        OTHER,
        r"kms[. ]?(?:disabled|notfound|invalidstate|accessdenied)|arn:\S*kms\S*? ?(?:key )?(?:is disabled"
        r"|is pending|does not exist)",
        template("The storage of {storage} cannot use the key with which it encrypts there ({said})."),
        template("Turn that key (KMS) on again at its provider, or allow our keys to use it."),
    ),
    _refusal(
        OTHER,
        r"authorization mechanism you have provided is not supported|methodnotallowed"
        r"|specified method is not allowed|notimplemented|functionality that is not implemented",
        template("The storage of {storage} does not do what restic asks of it ({said})."),
        template("See whether {url_set_by} names an S3 storage that restic knows, and its bucket."),
        is_final=False,
    ),
    _refusal(
        FULL,
        r"(?<!disk )quota ?(?:has been )?exceeded|exceeded (?:your|the|its) \w*\s?quota|storagefull"
        r"|minimum free drive threshold|insufficient storage|cap[ _]exceeded|\(507\)",
        template("The storage of {storage} takes no more: it is full, or our share of it is ({said})."),
        template("Have it made larger, or keep fewer backups and prune, then try again."),
    ),
    _refusal(
        OTHER,
        r"invalidobjectstate|not valid for the object's storage class",
        template("Files of {storage} lie in an archive of the storage, which gives them out late ({said})."),
        template(
            "Bring them back into its standard class there, and end the lifecycle rule that archives them."
        ),
    ),
    _refusal(
        OTHER,
        r"authorizationheadermalformed|the region '[^']*' is wrong|permanentredirect"
        r"|illegallocationconstraint|addressed using the specified endpoint",
        template("The bucket of {storage} lies in another region than we say ({said})."),
        template("Set AWS_DEFAULT_REGION to the bucket's region, or correct {url_set_by}."),
    ),
    _refusal(
        OTHER,
        r"x509: |certificate signed by unknown|failed to verify certificate",
        template("The certificate of the storage of {storage} cannot be verified ({said})."),
        template(
            "Check the address in {url_set_by}; where its authority is your own, set RESTIC_CACERT to "
            "the file with its certificate."
        ),
    ),
    _refusal(
        OTHER,
        r"server gave http response to https client|malformed http response",
        template("The storage of {storage} does not speak the protocol of its address ({said})."),
        template("Correct {url_set_by}: http:// or https://, and the port."),
    ),
    # What a request without an answer's body is told, whatever is the matter.
    _refusal(
        KEYS,
        r"400 bad request",
        template("The storage of {storage} takes no request of ours ({said})."),
        template(
            "Check {keys}, AWS_SESSION_TOKEN, AWS_DEFAULT_REGION, {url_set_by} and this machine's clock."
        ),
    ),
    # Also said for a moment, as while an identity is being renewed.
    _refusal(
        KEYS,
        r"access denied|accessdenied|\((?:401|403)\)|\b40[13] (?:unauthorized|forb)|error 40[13]\b"
        r"|unauthorized|not authori[sz]ed|authenticationfailed|authorizationfailure"
        r"|authorizationpermissionmismatch|bad_auth_token|could not find default credentials",
        template("The storage of {storage} refuses our keys ({said})."),
        template("Check {keys}, and what they are allowed to do there."),
        is_final=False,
    ),
)


def refusal_in(text: str, *, final_only: bool = False) -> tuple[Refusal, str] | None:
    """The storage's refusal in what restic said, with the words of it; None where it is none."""
    for refusal in _REFUSALS:
        if (refusal.is_final or not final_only) and (found := refusal.words.search(text)):
            begin = text.rfind("\n", 0, found.start()) + 1
            return refusal, said_in(text[begin:].partition("\n")[0])
    return None


def said_in(line: str) -> str:
    """The storage's own words out of a line of restic's."""
    after_retry = re.sub(r".* returned error, retrying after [\w.]+: ", "", line)
    # A code such as AccessDenied is the storage's own word; the names before it are of restic's functions.
    said = (
        re.sub(r"^(?:(?![A-Z][a-z]+[A-Z])[\w.]+: |Fatal: |[^:]*failed: )+", "", after_retry)
        .strip()
        .rstrip(".")
    )
    return shortened(said, _MOST)
