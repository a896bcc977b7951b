"""What was found of the gate's process, kept in an alert's row."""

from __future__ import annotations

from backups.alerting import subjects
from backups.choices import AlertEvent, AlertState
from backups.models import Alert
from backups.reports import standing
from backups.text.sentences import joined, parts_of, phrase


def is_gate_known() -> bool:
    """Whether a gate was ever heard, at whichever address was asked last."""
    return Alert.objects.filter(subject__startswith=standing.GATE_PROCESS).exists()


def is_gate_in_trouble(address: str) -> bool:
    """Whether something was wrong with it when it was asked last."""
    subject = f"{standing.GATE_PROCESS}{address}"
    return Alert.objects.filter(subject=subject, state=AlertState.TROUBLE).exists()


def gate_is_not_asked() -> None:
    """Forget what was found of a gate that nobody is to ask any more."""
    Alert.objects.filter(subject__startswith=standing.GATE_PROCESS).delete()


def gate_answers(address: str) -> None:
    """Note that the gate's process says what it has to; `watch` tells where that is news."""
    _of_gate_process(address, AlertState.GOOD)


def gate_in_trouble(address: str, word: str, what: str, do: str) -> None:
    """Note what is wrong with it."""
    _of_gate_process(address, AlertState.TROUBLE, joined([what, do], "\n"), word)


def _of_gate_process(address: str, state: AlertState, sentence: str = "", word: str = "") -> None:
    subject = phrase("Gate process at {address}", address=address)
    # It was moved; nobody asks there any more.
    Alert.objects.filter(subject__startswith=standing.GATE_PROCESS).exclude(subject=subject).delete()
    subjects.change(subject, subjects.Standing(state, sentence, word=word, event=AlertEvent.GATE), begin=True)
    # It may have begun to hang and be dead by now, which is no news, but is to be read.
    for alert in Alert.objects.filter(subject=subject, state=AlertState.TROUBLE):
        parts = {**alert.parts, "text": parts_of(sentence)}
        Alert.objects.filter(pk=alert.pk, state=AlertState.TROUBLE).update(text=sentence, parts=parts)
