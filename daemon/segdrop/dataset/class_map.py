"""The request's ``class_map``: classes merged, renamed or left out, as {old: new or null} or by a preset's name.

Sources of the presets: cityscapesScripts ``labels.py`` (categories and train ids), BDD100K ``label.py``, and the eleven
classes that SegNet (Badrinarayanan, Kendall and Cipolla 2015) made of CamVid's thirty-two.
"""

from collections.abc import Mapping
from dataclasses import replace

from segdrop.dataset.classes import IGNORE, ClassReading
from segdrop.errors import DataError, Issue
from segdrop.request import Request

ClassMap = dict[str, str | None]


def _merged(groups: Mapping[str | None, str]) -> ClassMap:
    """{new: "old, old, …"} as {old: new}."""
    return {old: new for new, olds in groups.items() for old in olds.split(", ")}


_CITYSCAPES_VOID = "unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground"
_CITYSCAPES_19 = (
    "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, terrain, sky, person, "
    "rider, car, truck, bus, train, motorcycle, bicycle"
)
_CITYSCAPES_REST = "parking, rail track, guard rail, bridge, tunnel, polegroup, caravan, trailer, license plate"
_BDD100K_REST = (
    "garage, banner, billboard, lane divider, parking sign, street light, traffic cone, traffic device, "
    "traffic sign frame"
)

PRESETS: dict[str, ClassMap] = {
    "cityscapes-8": _merged(
        {
            None: _CITYSCAPES_VOID,
            "flat": "road, sidewalk, parking, rail track",
            "construction": "building, wall, fence, guard rail, bridge, tunnel",
            "object": "pole, polegroup, traffic light, traffic sign",
            "nature": "vegetation, terrain",
            "sky": "sky",
            "human": "person, rider",
            "vehicle": "car, truck, bus, caravan, trailer, train, motorcycle, bicycle, license plate",
        }
    ),
    "cityscapes-19": {name: name for name in _CITYSCAPES_19.split(", ")}
    | _merged({None: f"{_CITYSCAPES_VOID}, {_CITYSCAPES_REST}"}),
    "bdd100k-14": {name: name for name in _CITYSCAPES_19.split(", ")}
    | _merged(
        {
            None: f"{_CITYSCAPES_VOID}, {_CITYSCAPES_REST}, {_BDD100K_REST}, train",
            "car+truck+bus": "car, truck, bus",
            "wall+fence": "wall, fence",
            "person+rider": "person, rider",
        }
    ),
    "camvid-11": _merged(
        {
            "Sky": "Sky",
            "Building": "Archway, Bridge, Building, Tunnel, Wall",
            "Pole": "Column_Pole, Pole, TrafficCone",
            "Road": "LaneMkgsDriv, LaneMkgsNonDriv, Road",
            "Pavement": "ParkingBlock, RoadShoulder, Sidewalk, Pavement",
            "Tree": "Tree, VegetationMisc",
            "SignSymbol": "Misc_Text, SignSymbol, TrafficLight",
            "Fence": "Fence",
            "Car": "Car, OtherMoving, SUVPickupTruck, Train, Truck_Bus",
            "Pedestrian": "Animal, CartLuggagePram, Child, Pedestrian",
            "Bicyclist": "Bicyclist, MotorcycleScooter",
            None: "Void, Unlabelled",
        }
    ),
}


def apply(reading: ClassReading, request: Request) -> ClassReading:
    """The classes after the request's map: in the order of their first old class. ``DataError`` for unknown classes."""
    if request.class_map is None:
        return reading
    if isinstance(request.class_map, str):
        old_to_new, source = _preset(request.class_map), f"the preset {request.class_map}"
    else:
        old_to_new = {old: None if new is None else str(new) for old, new in request.class_map.items()}
        source = "`class_map`"
    targets = _targets(reading, old_to_new, must_exist=not isinstance(request.class_map, str))
    names = tuple(dict.fromkeys(new for new in targets if new is not None))
    if not names:
        raise DataError([Issue.of("classes.map_unknown", f"{source} leaves no class of {', '.join(reading.names)}")])
    class_ids = [IGNORE if new is None else names.index(new) for new in targets]
    values = [
        reading.values[targets.index(name)] if targets.count(name) == 1 else -1  # merged: no single value
        for name in names
    ]
    said = f"{source} makes {len(names)} classes of {len(reading.names)}"
    dropped = [old for old, new in zip(reading.names, targets, strict=True) if new is None]
    if dropped:
        said += f" and leaves out {', '.join(dropped)}"
    return replace(
        reading,
        names=names,
        values=tuple(values),
        lookup={key: IGNORE if old == IGNORE else class_ids[old] for key, old in reading.lookup.items()},
        assumptions=(*reading.assumptions, said),
    )


def _preset(name: str) -> ClassMap:
    if name not in PRESETS:
        message = f"`class_map` is '{name}', which is no preset: there are {', '.join(PRESETS)}"
        raise DataError([Issue.of("request.invalid_value", message)])
    return PRESETS[name]


def _targets(reading: ClassReading, old_to_new: ClassMap, *, must_exist: bool) -> list[str | None]:
    """The new name of each class, ``None`` where it is left out; what the map does not name stays."""
    position = {name.casefold(): index for index, name in reversed(list(enumerate(reading.names)))}
    by_value = {str(value): index for index, value in enumerate(reading.values) if value != -1}
    targets: list[str | None] = list(reading.names)
    unknown = []
    for old, new in old_to_new.items():
        index = position.get(old.casefold(), by_value.get(old))
        if index is not None:
            targets[index] = new
        elif must_exist:
            unknown.append(old)
    if unknown:
        message = f"`class_map` names {', '.join(unknown[:10])}; the classes are {', '.join(reading.names)[:500]}"
        raise DataError([Issue.of("classes.map_unknown", message, count=len(unknown))])
    return targets
