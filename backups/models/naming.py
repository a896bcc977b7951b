"""What forms and lists call models and their fields, where those do not say it themselves.

Django makes their names of the code's, which nobody can translate. Said with each field, they would be
migrations that change nothing; so they are named once all are there.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Model
from django.utils.translation import gettext_lazy

from backups.text.sentences import template

# As the code has them. A test tells which are missing.
NAMES = (
    template("repository"), template("repositories"), template("lease run"), template("lease until"),
    template("name"), template("restic id"), template("check interval"), template("backups since check"),
    template("health"), template("checked at"), template("check error"), template("size bytes"),
    template("sized at"), template("database"), template("databases"), template("host"), template("port"),
    template("user"), template("dump format"), template("keep daily"), template("keep weekly"),
    template("keep monthly"), template("is primary"), template("server flavour"),
    template("server version"), template("client version"), template("preflight warnings"),
    template("hosts"), template("alert"), template("alerts"), template("subject"), template("state"),
    template("since"), template("title"), template("text"), template("is pending"), template("reached"),
    template("tried at"), template("told at"), template("error"), template("public key"),
    template("public keys"), template("signing"), template("sealing"), template("noted at"),
    template("copied at"), template("run"), template("runs"), template("action"), template("snapshot"),
    template("status"), template("trigger"), template("requested by"), template("options"),
    template("request"), template("slot"), template("waits for"), template("priority"),
    template("queued at"), template("started at"), template("finished at"), template("beat at"),
    template("worker"), template("phase"), template("phases"), template("bytes done"),
    template("bytes expected"), template("detail"), template("cancel requested"), template("error code"),
    template("error params"), template("result"), template("parent"), template("restic version"),
    template("run line"), template("run lines"), template("at"), template("level"), template("snapshots"),
    template("made by"), template("time"), template("path"), template("tags"), template("data added"),
    template("data added packed"), template("manifest"), template("kept because"), template("verified at"),
    template("verdict"), template("signature"), template("made here"), template("forgotten at"),
    template("restore"), template("restores"), template("mode"), template("target"), template("tables"),
    template("definers"), template("reason"), template("without safety"), template("safety snapshot"),
    template("undo of"), template("incoming"), template("kept in"), template("swap"),
    template("definitions before"), template("definitions after"), template("tables after"),
    template("definitions left"), template("swapped at"), template("undone at"), template("dropped at"),
    template("restore seconds"), template("suspicion"), template("suspicions"), template("reasons"),
    template("found at"), template("settled at"), template("settled by"), template("verification"),
    template("verifications"), template("compared"), template("not compared"), template("differences"),
    template("rows"), template("bytes"), template("source version"), template("scratch version"),
    template("scratch address"), template("worker pulse"), template("worker pulses"), template("cluster"),
    template("seen at"), template("server"), template("servers"), template("flavour"), template("version"),
    template("question"), template("questions"),
    template("answer"), template("asked"), template("asked at"), template("asked by"), template("digest"),
    template("download ticket"), template("download tickets"), template("kind"), template("person"),
    template("portal start"), template("portal starts"), template("secrets"), template("taken at"),
    template("until"), template("used at"),
    template("pin"), template("pins"), template("made at"), template("ended at"), template("ended by"),
    template("end reason"), template("parts"), template("account"), template("accounts"),
    template("must change password"), template("link made at"), template("sign in"), template("sign ins"),
    template("key"), template("address"), template("browser"), template("stand down"),
    template("stand downs"), template("label"), template("labels"), template("disk bytes"),
    template("disk free bytes"), template("disk seen at"), template("disk full at"),
    template("channel"), template("channels"), template("shown"), template("sealed"),
    template("sealed for portal"), template("events"), template("event"), template("last at"),
    template("last ok"), template("last answer"), template("tended at"), template("summed up at"),
    template("delivery"), template("next at"), template("tries"),
    template("answer status"),
    template("mark"), template("marks"), template("value"),
    template("log archive"), template("log archives"), template("log piece"), template("log pieces"),
    template("log mark"), template("log marks"), template("log gap"), template("log gaps"),
    template("log transaction"), template("log transactions"), template("replay proof"),
    template("replay proofs"), template("keep days"), template("switched at"), template("switched by"),
    template("server uuid"), template("file"), template("file made"), template("position"),
    template("gtid"), template("snapshot id"), template("lease by"),
    template("gtids"), template("stored until"), template("problem"), template("problem code"),
    template("problem since"), template("start"), template("end"), template("first moment"),
    template("last moment"), template("transactions"), template("barriers"), template("stored at"),
    template("read back at"), template("moment"), template("begins"), template("ends"), template("code"),
    template("params"), template("sentence"), template("after file"), template("after position"),
    template("noticed at"), template("acknowledged at"), template("acknowledged by"), template("piece"),
    template("connection"), template("is definition"), template("base"), template("next"),
    template("row changes"), template("log bytes"), template("load seconds"), template("replay seconds"),
    template("not covered"), template("sha256"),
)  # fmt: skip


def name_in_words(models: Iterable[type[Model]]) -> None:
    """Have the names translated that Django made."""
    for model in models:
        meta = model._meta
        if "verbose_name_plural" not in meta.original_attrs:
            meta.verbose_name_plural = gettext_lazy(str(meta.verbose_name_plural))
        if "verbose_name" not in meta.original_attrs:
            meta.verbose_name = gettext_lazy(str(meta.verbose_name))
        for field in meta.local_fields:
            if getattr(field, "_verbose_name", "") is None:
                field.verbose_name = gettext_lazy(str(field.verbose_name))
