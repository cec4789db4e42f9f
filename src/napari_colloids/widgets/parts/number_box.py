"""A control for numbers, which are typed with a decimal point or comma and may carry a unit."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from qtpy.QtCore import QLocale
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox

from napari_colloids.widgets.parts.own_control import OwnControl

if TYPE_CHECKING:
    from typing import Unpack

    from napari_colloids.widgets.parts.own_control import About


#: Bound of a number that has none.
_MAX_NUMBER = 1e9
#: Width (pixels) that a box may shrink to with its panel.
_MIN_WIDTH_PX = 64


class DecimalBox(QDoubleSpinBox):
    """A box for a number that is typed with a point or a comma, whatever the language of the computer."""

    def __init__(self) -> None:
        super().__init__()
        # With its own locale Qt takes the other sign for a separator of thousands: 0,25 would become 25.
        self.setLocale(QLocale.c())

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept what is, or is going to be, a number, with an exponent or not."""
        core = self._core(text or "")
        if not _SCIENTIFIC.fullmatch(core):
            state, text, position = super().validate(core + self.suffix(), min(position, len(core)))
            return state, text, position
        value = _float(core)
        done = value is not None and self.minimum() <= value <= self.maximum()
        state = QValidator.State.Acceptable if done else QValidator.State.Intermediate
        return state, core + self.suffix(), min(position, len(core))

    def valueFromText(self, text: str | None) -> float:
        """Return the number that was typed."""
        core = self._core(text or "")
        value = _float(core)
        return float(super().valueFromText(core)) if value is None else value

    def textFromValue(self, value: float) -> str:
        """Leave out zeros at the end, but for one."""
        text = f"{value:.{self.decimals()}f}"
        return re.sub(r"(\.\d+?)0+$", r"\1", text)

    def _core(self, text: str) -> str:
        """Return what was typed or pasted without the unit, with a point, and with no more decimals than there are."""
        special = self.specialValueText()
        if special and text == special:
            return text
        unit = self.suffix().strip()
        # Twice, if a number with its unit was pasted in front of it.
        core = text.strip().removesuffix(unit).strip().removesuffix(unit).strip().replace(",", ".")
        if special and set(core) & set(special):  # typed into the special text
            core = re.sub(r"[^0-9.+-]", "", core)
        whole, point, fraction = core.rpartition(".")
        core = whole.replace(".", "") + point + fraction  # points before the last one part thousands
        return re.sub(rf"^([^e]*\.\d{{{self.decimals()}}})\d+$", r"\1", core)


#: A number with an exponent, or what is going to be one.
_SCIENTIFIC = re.compile(r"[+-]?\d*\.?\d*e[+-]?\d*", re.IGNORECASE)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class NumberBox(OwnControl[float | int | None]):
    """A number with a unit; a whole number where there are no decimals.

    Where `unset` is given it is shown instead of None, one step below the smallest number.
    """

    def __init__(
        self,
        value: float | None,
        low: float,
        high: float,
        *,
        decimals: int = 2,
        unit: str = "",
        unset: str = "",
        **about: Unpack[About],
    ) -> None:
        super().__init__(DecimalBox, "value", "setValue", "valueChanged", **about)
        box: DecimalBox = self.native
        box.setDecimals(decimals)
        if decimals > 1:
            box.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        else:
            box.setSingleStep(0.5 if decimals else 1)
        box.setKeyboardTracking(False)  # what is typed is reported when it is complete
        box.setMinimumWidth(_MIN_WIDTH_PX)
        box.setSpecialValueText(unset)
        self._whole, self._optional = decimals == 0, bool(unset)
        self.limit(low, high)
        self.set_unit(unit)
        self.value = value

    def limit(self, low: float, high: float) -> None:
        """Set the smallest and the largest number."""
        step = 10.0 ** -self.native.decimals()
        smallest = math.ceil(max(low, -_MAX_NUMBER) / step - 1e-6) * step
        self.native.setRange(smallest - step if self._optional else smallest, min(high, _MAX_NUMBER))

    def set_unit(self, unit: str) -> None:
        """Set what is shown behind the number."""
        self.native.setSuffix(f" {unit}" if unit else "")

    def drop_buttons(self) -> None:
        """Give the number the room of the buttons."""
        self.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        # napari's style would leave their room empty.
        self.native.setStyleSheet("QDoubleSpinBox { min-width: 32px; padding: 1px 2px; }")
        self.native.setMinimumWidth(32)

    def get_value(self) -> float | int | None:
        """Return the number, or None where it is not set."""
        number = float(self.native.value())
        if self._optional and number == self.native.minimum():
            return None
        return round(number) if self._whole else number

    def set_value(self, value: float | None) -> None:
        """Set the number; out of bounds it becomes the nearest that is allowed."""
        if value is None and not self._optional:
            raise ValueError(f"{self.name} needs a number.")
        number = self.native.minimum() if value is None else float(value)
        if not math.isfinite(number):
            raise ValueError(f"{self.name} must be finite, not {number}.")
        self.native.setValue(number)
