"""The presets of ``class_map`` by name: {old: new, or None for what is left out}.

Sources: cityscapesScripts ``labels.py`` (categories and train ids), BDD100K ``label.py``, and the eleven classes that
SegNet (Badrinarayanan, Kendall and Cipolla 2015) made of CamVid's thirty-two.
"""

from collections.abc import Mapping

ClassMap = dict[str, str | None]


def _merged(groups: Mapping[str | None, str]) -> ClassMap:
    """Returns {new: "old, old, …"} as {old: new}."""
    return {old: new for new, olds in groups.items() for old in olds.split(", ")}


def _itself(names: str) -> ClassMap:
    """Returns a map that leaves these classes as they are."""
    return {name: name for name in names.split(", ")}


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
    "cityscapes-19": _itself(_CITYSCAPES_19) | _merged({None: f"{_CITYSCAPES_VOID}, {_CITYSCAPES_REST}"}),
    "bdd100k-14": _itself(_CITYSCAPES_19)
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
