// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ILoyalty} from "./ILoyalty.sol";

/// @title Partners and the limits that nobody can exceed
/// @notice A partner issues through its signer's orders, inside an allowance and a cap per period.
abstract contract LoyaltyPartners is ILoyalty, AccessControlDefaultAdminRules {
    /// @dev Two storage words, the first of which orders only read. `allowance` is an absolute ceiling on `netIssued`
    /// (issued less reversed), so that setting it twice does no harm. `periodIssued` counts for `period` only.
    struct Partner {
        address signer;
        uint56 allowance;
        bool active;
        uint64 sequence;
        uint56 periodCap;
        uint56 netIssued;
        uint56 periodIssued;
        uint24 period;
    }

    /// @dev Shorter periods would outgrow 24 bits before the year 2289.
    uint32 private constant LEAST_CAP_PERIOD = 10 minutes;

    /// @notice May register partners and set their signers and limits.
    bytes32 public constant PARTNER_ADMIN_ROLE = keccak256("PARTNER_ADMIN_ROLE");

    /// @notice Length in seconds of the period that a partner's cap counts; periods start at multiples of it.
    uint32 public immutable capPeriod;

    mapping(uint32 id => Partner) internal _partners;

    constructor(uint32 capPeriod_) {
        require(capPeriod_ >= LEAST_CAP_PERIOD, LoyaltyPeriod(LEAST_CAP_PERIOD, capPeriod_));
        capPeriod = capPeriod_;
    }

    /// @notice Registers a partner or replaces its terms; repeating a call changes nothing. Only the partner admin.
    /// The sequence and what was issued survive any change, so a new key goes on where the old one stopped.
    /// @param partner id above 0. Reverts with LoyaltyPartnerInvalid for 0 and for a zero signer.
    /// @param signer key or ERC-1271 wallet that signs the partner's orders
    /// @param allowance ceiling on what is issued and not reversed; 2^56 - 1 means unlimited by convention
    /// @param periodCap ceiling on what is issued within one cap period; 2^56 - 1 means unlimited by convention.
    /// Limits beyond 2^56 - 1 revert with SafeCastOverflowedUintDowncast.
    /// @param active whether the partner may issue and be named in redemptions; reversals stay possible
    function setPartner(uint32 partner, address signer, uint64 allowance, uint64 periodCap, bool active)
        external
        onlyRole(PARTNER_ADMIN_ROLE)
    {
        require(partner != 0 && signer != address(0), LoyaltyPartnerInvalid(partner, signer));
        Partner storage terms = _partners[partner];
        terms.signer = signer;
        terms.active = active;
        terms.allowance = SafeCast.toUint56(allowance);
        terms.periodCap = SafeCast.toUint56(periodCap);
        emit PartnerSet(partner, signer, allowance, periodCap, active);
    }

    /// @notice A partner's terms and counters; all zero for an unknown one.
    /// @return signer who signs for the partner
    /// @return sequence of the partner's last executed order
    /// @return active whether it may issue
    /// @return allowance ceiling on `netIssued`
    /// @return periodCap ceiling on `periodIssued`
    /// @return netIssued issued less reversed, over all time
    /// @return periodIssued issued in the running cap period; reversals do not give it back
    /// @return period number of the running cap period
    function partnerOf(uint32 partner)
        external
        view
        returns (
            address signer,
            uint64 sequence,
            bool active,
            uint64 allowance,
            uint64 periodCap,
            uint64 netIssued,
            uint64 periodIssued,
            uint32 period
        )
    {
        Partner memory terms = _partners[partner];
        period = _period();
        periodIssued = terms.period == period ? terms.periodIssued : 0;
        return (
            terms.signer,
            terms.sequence,
            terms.active,
            terms.allowance,
            terms.periodCap,
            terms.netIssued,
            periodIssued,
            period
        );
    }

    /// @notice Sequence of the partner's last executed order; the next one carries this plus 1.
    function partnerSequence(uint32 partner) external view returns (uint64) {
        return _partners[partner].sequence;
    }

    /// @dev Counts an issuance against the allowance and the cap of the running period.
    function _countIssued(uint32 partner, Partner storage terms, uint256 total) internal {
        uint256 netIssued = terms.netIssued;
        uint256 left = _left(terms.allowance, netIssued);
        require(total <= left, LoyaltyAllowance(partner, left, total));
        uint24 period = _period();
        uint256 periodIssued = terms.period == period ? terms.periodIssued : 0;
        left = _left(terms.periodCap, periodIssued);
        require(total <= left, LoyaltyPeriodCap(partner, left, total));
        unchecked {
            // Both sums stay within their ceilings, which are below 2^56.
            terms.netIssued = uint56(netIssued + total);
            terms.periodIssued = uint56(periodIssued + total);
        }
        terms.period = period;
    }

    /// @dev Gives a reversal back to the allowance, and not to the period's cap.
    function _countReversed(uint32 partner, Partner storage terms, uint256 total) internal {
        uint256 netIssued = terms.netIssued;
        require(total <= netIssued, LoyaltyReversal(partner, netIssued, total));
        unchecked {
            terms.netIssued = uint56(netIssued - total);
        }
    }

    /// @dev A ceiling may have been lowered below what is used already.
    function _left(uint256 ceiling, uint256 used) private pure returns (uint256) {
        unchecked {
            return ceiling > used ? ceiling - used : 0;
        }
    }

    function _period() private view returns (uint24) {
        return SafeCast.toUint24(block.timestamp / capPeriod);
    }
}
